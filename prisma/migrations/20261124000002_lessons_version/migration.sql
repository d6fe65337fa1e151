-- The version of a course's lessons has one name, in rows and in what the journal remembers.
alter table "Enrollment" rename column "courseVersion" to "lessonsVersion";
alter index "Enrollment_courseId_courseVersion_idx" rename to "Enrollment_courseId_lessonsVersion_idx";
alter table "CourseCompletion" rename column "courseVersion" to "lessonsVersion";

create function lockstep_renamed(object jsonb, was text, becomes text) returns jsonb language sql immutable as $$
  select case when object ? was then (object - was) || jsonb_build_object(becomes, object -> was) else object end
$$;

update "Event" set
  view = lockstep_renamed(view, 'courseVersion', 'lessonsVersion'),
  data = lockstep_renamed(data, 'courseVersion', 'lessonsVersion')
where "rootType" = 'Enrollment';

-- a genesis event has a whole state: also the course as it then was, and the completions
update "Event" set data = data || jsonb_build_object(
  'course', case jsonb_typeof(data -> 'course')
    when 'object' then lockstep_renamed(data -> 'course', 'version', 'lessonsVersion') else data -> 'course' end,
  'completions', array(
    select lockstep_renamed(completion, 'courseVersion', 'lessonsVersion')
    from jsonb_array_elements(data -> 'completions') with ordinality as x (completion, place) order by place))
where "rootType" = 'Enrollment' and kind = 'genesis';

drop function lockstep_renamed;
