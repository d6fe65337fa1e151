drop table "WorkoutSelection";
drop type "TimeOfDay";
drop table "Workout";
drop table "Plan";
