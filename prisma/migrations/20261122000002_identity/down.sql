drop table "Session";
drop table "User";
drop type "Role";
delete from "Event" where "rootType" = 'User';
