alter table "Enrollment" drop column percent;
alter table "Enrollment" drop column "lastActivityAt";
update "Event" set view = view - 'lastActivityAt', data = data - 'lastActivityAt' where "rootType" = 'Enrollment';
