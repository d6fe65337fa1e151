drop index "Event_at_idx";
drop table "Journal";
