-- What the journal knows of itself.

create table "Journal" (
  id           integer primary key default 1 check (id = 1),
  epoch        text not null,
  "prunedXid"  xid8
);
insert into "Journal" (epoch) values (gen_random_uuid()::text);

-- What is old, and was not folded yet, is found without looking at what is not.
create index "Event_at_idx" on "Event" (at) where kind <> 'genesis';
