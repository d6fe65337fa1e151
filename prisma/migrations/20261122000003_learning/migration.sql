create table "Course" (
  id               text primary key,
  version          integer not null,
  "lessonsVersion" integer not null,
  slug             text not null,
  title            text not null,
  description      text not null,
  "createdAt"      timestamptz(3) not null
);
create unique index "Course_slug_key" on "Course" (slug);
create trigger forget_history after delete on "Course" referencing old table as gone for each statement execute function lockstep_forget_history();

create table "CourseInstructor" (
  "courseId" text not null references "Course" on update cascade on delete cascade,
  "userId"   text not null references "User" on update cascade on delete cascade,
  primary key ("courseId", "userId")
);
create index "CourseInstructor_userId_idx" on "CourseInstructor" ("userId");

create table "Lesson" (
  id         text primary key,
  "courseId" text not null references "Course" on update cascade on delete cascade,
  slug       text not null,
  position   integer not null,
  title      text not null,
  active     boolean not null,
  -- deferrable: checked at the end of the statement, so that two lessons can swap their slugs
  constraint "Lesson_courseId_slug_key" unique ("courseId", slug) deferrable initially immediate
);

create type "ContentKind" as enum ('TEXT', 'VIDEO', 'EXERCISE', 'QUIZ');

create table "ContentItem" (
  id         text primary key,
  "lessonId" text not null references "Lesson" on update cascade on delete cascade,
  position   integer not null,
  title      text not null,
  kind       "ContentKind" not null,
  active     boolean not null
);
create index "ContentItem_lessonId_idx" on "ContentItem" ("lessonId");

create table "LessonPrerequisite" (
  "lessonId"   text not null references "Lesson" on update cascade on delete cascade,
  "requiresId" text not null references "Lesson" on update cascade on delete cascade,
  primary key ("lessonId", "requiresId"),
  constraint "LessonPrerequisite_not_itself" check ("lessonId" <> "requiresId")
);
create index "LessonPrerequisite_requiresId_idx" on "LessonPrerequisite" ("requiresId");

create table "Enrollment" (
  id              text primary key,
  version         integer not null,
  "learnerId"     text not null references "User" on update cascade on delete cascade,
  "courseId"      text not null references "Course" on update cascade on delete restrict,
  "courseVersion" integer not null,
  completed       integer not null,
  total           integer not null,
  attempt         integer not null,
  "enrolledAt"    timestamptz(3) not null,
  "completedAt"   timestamptz(3),
  constraint "Enrollment_completed_within_total" check (completed between 0 and total)
) with (fillfactor = 70); -- room to update a row in its own page: its counters change often, its indexed columns hardly ever
create unique index "Enrollment_learnerId_courseId_key" on "Enrollment" ("learnerId", "courseId");
create index "Enrollment_courseId_courseVersion_idx" on "Enrollment" ("courseId", "courseVersion");
create trigger forget_history after delete on "Enrollment" referencing old table as gone for each statement execute function lockstep_forget_history();

create type "LessonStatus" as enum ('NOT_STARTED', 'IN_PROGRESS', 'COMPLETED');

create table "LessonProgress" (
  "enrollmentId" text not null references "Enrollment" on update cascade on delete cascade,
  "lessonId"     text not null references "Lesson" on update cascade on delete restrict,
  status         "LessonStatus" not null,
  "openedAt"     timestamptz(3),
  "completedAt"  timestamptz(3),
  resets         integer not null,
  primary key ("enrollmentId", "lessonId"),
  constraint "LessonProgress_completed_has_a_time" check ((status = 'COMPLETED') = ("completedAt" is not null))
);

create table "ContentCompletion" (
  "enrollmentId"  text not null references "Enrollment" on update cascade on delete cascade,
  "contentItemId" text not null references "ContentItem" on update cascade on delete restrict,
  "completedAt"   timestamptz(3) not null,
  primary key ("enrollmentId", "contentItemId")
);

create table "CourseCompletion" (
  "enrollmentId"  text not null references "Enrollment" on update cascade on delete cascade,
  attempt         integer not null,
  "courseVersion" integer not null,
  "completedAt"   timestamptz(3) not null,
  primary key ("enrollmentId", attempt)
);
