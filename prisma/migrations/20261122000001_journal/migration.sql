-- The memory: every committed change, and every request that was carried out under a key.

create table "Event" (
  "rootType" text not null,
  "rootId"   text not null,
  version    integer not null check (version > 0),
  topic      text not null,
  kind       text not null,
  data       jsonb not null,
  view       jsonb not null,
  actor      text not null,
  at         timestamptz(3) not null,
  xid        xid8 not null default pg_current_xact_id(),
  primary key ("rootType", "rootId", version)
);
create index "Event_xid_idx" on "Event" (xid);
create index "Event_topic_xid_idx" on "Event" (topic, xid);

create table "IdempotencyKey" (
  actor   text not null,
  key     text not null,
  request text not null,
  version integer not null,
  answer  jsonb not null,
  at      timestamptz(3) not null,
  primary key (actor, key)
);
create index "IdempotencyKey_at_idx" on "IdempotencyKey" using brin (at);

-- A root that is deleted takes its history with it: nothing is remembered of a person who asked to be forgotten, and a root
-- that is made again begins at version 1.
create function lockstep_forget_history() returns trigger language plpgsql as $$
begin
  delete from "Event" where "rootType" = tg_table_name and "rootId" in (select id from gone);
  return null;
end $$;

create function lockstep_forget_keys() returns trigger language plpgsql as $$
begin
  delete from "IdempotencyKey" where actor in (select id from gone);
  return null;
end $$;
