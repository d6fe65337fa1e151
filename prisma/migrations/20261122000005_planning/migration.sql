create table "Plan" (
  id             text primary key,
  version        integer not null,
  "ownerId"      text not null references "User" on update cascade on delete cascade,
  title          text not null,
  "lastPosition" integer not null,
  "createdAt"    timestamptz(3) not null
) with (fillfactor = 70); -- room to update a row in its own page: its version changes often, its indexed columns never
create index "Plan_ownerId_idx" on "Plan" ("ownerId");
create trigger forget_history after delete on "Plan" referencing old table as gone for each statement execute function lockstep_forget_history();

create table "Workout" (
  id       text primary key,
  "planId" text not null references "Plan" on update cascade on delete cascade,
  position integer not null,
  title    text not null,
  details  text not null
);
-- a plan's workouts in their order; the calendar begins here, too, and goes on by the unique key of the selections
create index "Workout_planId_position_idx" on "Workout" ("planId", position);

create type "TimeOfDay" as enum ('MORNING', 'AFTERNOON', 'EVENING');

create table "WorkoutSelection" (
  id               text primary key,
  "workoutId"      text not null references "Workout" on update cascade on delete cascade,
  "currentPlanDay" date,
  "timeOfDay"      "TimeOfDay",
  "updatedAt"      timestamptz(3) not null,
  constraint uq_workout_selections_workout_id unique ("workoutId")
);
