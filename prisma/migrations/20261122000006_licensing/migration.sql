-- What people can specialize in: data, not code.
create table "Specialization" (
  code          text primary key constraint "Specialization_code_is_plain" check (code ~ '^[A-Z][A-Z0-9_]{0,39}$'),
  name          text not null,
  "maxLevel"    integer not null constraint "Specialization_maxLevel_in_bounds" check ("maxLevel" between 1 and 1000),
  "countsHours" boolean not null
);

create table "SpecializationLevel" (
  code  text not null references "Specialization" on delete cascade,
  level integer not null constraint "SpecializationLevel_from_1" check (level >= 1),
  xp    integer not null constraint "SpecializationLevel_begins_at_0" check (case when level = 1 then xp = 0 else xp > 0 end),
  primary key (code, level)
);

insert into "Specialization" (code, name, "maxLevel", "countsHours") values ('PLAYER', 'Player', 8, false), ('COACH', 'Coach', 8, true);
insert into "SpecializationLevel" (code, level, xp)
  select 'PLAYER', level, xp from unnest(array[0, 100, 250, 500, 900, 1500, 2400, 3600]) with ordinality as l (xp, level)
  union all select 'COACH', level, xp from unnest(array[0, 200, 500, 1000, 1800, 3000, 4800, 7200]) with ordinality as l (xp, level);

create table "SpecializationProgress" (
  id                  text primary key,
  version             integer not null,
  "userId"            text not null references "User" on delete cascade,
  code                text not null references "Specialization" on delete restrict,
  "currentLevel"      integer not null constraint "SpecializationProgress_currentLevel_from_1" check ("currentLevel" >= 1),
  "totalXp"           integer not null constraint "SpecializationProgress_totalXp_from_0" check ("totalXp" >= 0),
  "completedSessions" integer not null constraint "SpecializationProgress_completedSessions_from_0" check ("completedSessions" >= 0),
  -- decimal, so that sums are exact
  "theoryHours"       numeric(9, 2) not null constraint "SpecializationProgress_theoryHours_from_0" check ("theoryHours" >= 0),
  "practiceHours"     numeric(9, 2) not null constraint "SpecializationProgress_practiceHours_from_0" check ("practiceHours" >= 0),
  -- an id says whose it is and of what, also for a row that comes from elsewhere
  constraint "SpecializationProgress_id_is_its_key" check (id = "userId" || '.' || code)
) with (fillfactor = 70);
create unique index "SpecializationProgress_userId_code_key" on "SpecializationProgress" ("userId", code);
create index "SpecializationProgress_code_idx" on "SpecializationProgress" (code);
create trigger forget_history after delete on "SpecializationProgress" referencing old table as gone for each statement execute function lockstep_forget_history();

-- No foreign key to the progress: records that come from elsewhere may have one without the other, and that is to be found, not lost.
create table "License" (
  id                 text primary key,
  "userId"           text not null references "User" on delete cascade,
  code               text not null references "Specialization" on delete restrict,
  "currentLevel"     integer not null constraint "License_currentLevel_from_1" check ("currentLevel" >= 1),
  "maxAchievedLevel" integer not null,
  "issuedAt"         timestamptz(3) not null,
  constraint "License_maxAchievedLevel_not_below" check ("maxAchievedLevel" >= "currentLevel"),
  constraint "License_id_is_its_key" check (id = "userId" || '.' || code)
) with (fillfactor = 70);
create unique index "License_userId_code_key" on "License" ("userId", code);
create index "License_code_idx" on "License" (code);

-- Nor one to the license: what happened to it stays told when somebody deletes it by hand. The time is part of the key because a progress that was deleted by hand
-- begins again at version 1, beside what its predecessor left here.
create table "LicenseProgression" (
  "licenseId"  text not null,
  at           timestamptz(3) not null,
  version      integer not null,
  "from"       integer not null,
  "to"         integer not null,
  "userId"     text not null references "User" on delete cascade,
  "advancedBy" text not null,
  reason       text not null,
  primary key ("licenseId", at, version, "from"),
  constraint "LicenseProgression_is_a_change" check ("from" <> "to" and least("from", "to") >= 1)
);
create index "LicenseProgression_userId_idx" on "LicenseProgression" ("userId");
