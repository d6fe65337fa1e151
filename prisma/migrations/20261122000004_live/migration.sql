-- What the journal knows of itself.

create table "Journal" (
  id           integer primary key default 1 check (id = 1),
  epoch        text not null,
  "prunedXid"  xid8
);
insert into "Journal" (epoch) values (gen_random_uuid()::text);

-- Events are appended in the order of time, so that old ones are found by a small index.
create index "Event_at_idx" on "Event" using brin (at);
