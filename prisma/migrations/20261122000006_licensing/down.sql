drop table "LicenseProgression";
drop table "License";
drop table "SpecializationProgress";
drop table "SpecializationLevel";
drop table "Specialization";
delete from "Event" where "rootType" = 'SpecializationProgress';
