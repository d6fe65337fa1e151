create type "Role" as enum ('LEARNER', 'INSTRUCTOR', 'ADMIN');

create table "User" (
  id          text primary key,
  version     integer not null,
  name        text not null,
  role        "Role" not null,
  "createdAt" timestamptz(3) not null
);
create trigger forget_history after delete on "User" referencing old table as gone for each statement execute function lockstep_forget_history();
create trigger forget_keys after delete on "User" referencing old table as gone for each statement execute function lockstep_forget_keys();

create table "Session" (
  id          text primary key,
  "userId"    text not null references "User" on update cascade on delete cascade,
  "tokenHash" text not null,
  "createdAt" timestamptz(3) not null,
  "expiresAt" timestamptz(3) not null
);
create unique index "Session_tokenHash_key" on "Session" ("tokenHash");
create index "Session_userId_idx" on "Session" ("userId");
