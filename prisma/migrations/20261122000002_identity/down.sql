drop table "Session";
drop table "User";
drop type "Role";
