drop table "WorkoutSelection";
drop type "TimeOfDay";
drop table "Workout";
drop table "Plan";
delete from "Event" where "rootType" = 'Plan';
