-- When a learner last did something, and how far they are, as columns: lists are filtered and ordered by them.

-- What a folded history still knows of it: the times in the state that it amounts to. A completion of an earlier attempt
-- counts, since the reset that began the next one came after it.
update "Event" set data = data || jsonb_build_object('lastActivityAt', (
  select max(time collate "C") from (
    select data ->> 'enrolledAt'
    union all select lesson ->> 'openedAt' from jsonb_each(data -> 'progress') as x (id, lesson)
    union all select lesson ->> 'completedAt' from jsonb_each(data -> 'progress') as x (id, lesson)
    union all select content from jsonb_each_text(data -> 'contents') as x (id, content)
    union all select completion ->> 'completedAt' from jsonb_array_elements(data -> 'completions') as x (completion)
      where completion -> 'attempt' < data -> 'attempt'
  ) as times (time)))
where "rootType" = 'Enrollment' and kind = 'genesis';

-- Of each event, the last one up to it that is an act of the learner's; that a course changed, or was completed by it, is
-- none. An act and what followed from it, up to the next act, are one group.
update "Event" e set view = view || jsonb_build_object('lastActivityAt', coalesce(act, view ->> 'enrolledAt'))
from (
  select "rootId", version, first_value(act) over (partition by "rootId", acts order by version) as act from (
    select "rootId", version,
      case when kind = 'genesis' then data ->> 'lastActivityAt' when kind not in ('courseChanged', 'courseCompleted')
        then to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') end as act,
      count(*) filter (where kind not in ('courseChanged', 'courseCompleted'))
        over (partition by "rootId" order by version) as acts
    from "Event" where "rootType" = 'Enrollment'
  ) counted
) known
where e."rootType" = 'Enrollment' and e."rootId" = known."rootId" and e.version = known.version;

alter table "Enrollment" add column "lastActivityAt" timestamptz(3);
update "Enrollment" r set "lastActivityAt" = coalesce(
  (select (view ->> 'lastActivityAt')::timestamptz from "Event" e
    where e."rootType" = 'Enrollment' and e."rootId" = r.id and e.version = r.version),
  greatest("enrolledAt",
    (select max(greatest("openedAt", "completedAt")) from "LessonProgress" p where p."enrollmentId" = r.id),
    (select max("completedAt") from "ContentCompletion" d where d."enrollmentId" = r.id),
    (select max("completedAt") from "CourseCompletion" c where c."enrollmentId" = r.id and c.attempt < r.attempt)));
alter table "Enrollment" alter column "lastActivityAt" set not null;

alter table "Enrollment" add column percent integer not null
  generated always as (coalesce(completed * 100 / nullif(total, 0), 0)) stored;
-- No index for either: each completed lesson would have to write both, and rows could no longer be updated in their own
-- page. A class is small enough to be sorted when it is asked for.
