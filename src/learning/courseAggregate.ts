import type { Actor, Aggregate, Wanted } from '../commit/aggregate.ts'
import { columns, moment, number, text, type Values } from '../commit/columns.ts'
import { sql } from '../database/client.ts'
import { DomainError, Forbidden } from '../commit/errors.ts'

/** The course does not exist. */
export class CourseNotFound extends DomainError {
  readonly courseId: string
  constructor(courseId: string) {
    super('There is no such course.')
    this.courseId = courseId
  }
}

const own = columns({
  /** The version that last changed which lessons are active, and so how far learners are. */
  lessonsVersion: number(),
  slug: text(''),
  title: text(''),
  description: text(''),
  createdAt: moment(),
})

/** A course with everything below it. Version 0: there is none yet. */
export interface CourseState extends Values<typeof own> {
  readonly id: string
  readonly version: number
  readonly lessons: Readonly<Record<string, LessonState>>
  /** The ids of the users who teach it. */
  readonly instructors: readonly string[]
}
export type CourseText = Pick<CourseState, 'slug' | 'title' | 'description'>
export interface LessonState {
  readonly slug: string
  readonly position: number
  readonly title: string
  readonly active: boolean
  /** The ids of the lessons that must be completed first. */
  readonly requires: readonly string[]
  readonly contents: Readonly<Record<string, ContentState>>
}
export interface ContentState {
  readonly position: number
  readonly title: string
  readonly kind: 'TEXT' | 'VIDEO' | 'EXERCISE' | 'QUIZ'
  readonly active: boolean
}

/** What can happen to a course. A revision has what it changed: each changed lesson whole. */
export type CourseEvent =
  | ({ readonly kind: 'courseRevised'; readonly lessons?: Readonly<Record<string, LessonState>> } & Partial<CourseText>)
  | { readonly kind: 'instructorAssigned'; readonly userId: string }
  | { readonly kind: 'instructorDismissed'; readonly userId: string }

/** A course as answers and subscribers are shown it. */
export interface CourseView extends Values<typeof own> {
  readonly id: string
  readonly version: number
  /** How many active lessons it has. */
  readonly total: number
}

/** The types of the course's aggregate. */
export interface Courses {
  readonly state: CourseState
  readonly event: CourseEvent
  readonly view: CourseView
}

/** Only admins, and operators at the command line, change a course. */
function mayRevise(actor: Actor): void {
  if (actor.role !== 'ADMIN' && actor.role !== 'SYSTEM') throw new Forbidden('Only an admin may change a course.')
}

const read = ({ ids }: Wanted) => sql`
  select json_build_object('id', c.id, 'version', c.version, 'own', ${own.select('c')},
    'lessons', (
      select json_object_agg(l.id, json_build_object(
        'slug', l.slug, 'position', l.position, 'title', l.title, 'active', l.active,
        'requires', array(select q."requiresId" from "LessonPrerequisite" q where q."lessonId" = l.id order by 1),
        'contents', (
          select coalesce(json_object_agg(i.id, json_build_object(
            'position', i.position, 'title', i.title, 'kind', i.kind, 'active', i.active)), '{}')
          from "ContentItem" i where i."lessonId" = l.id)))
      from "Lesson" l where l."courseId" = c.id),
    'instructors', array(select i."userId" from "CourseInstructor" i where i."courseId" = c.id order by 1)) as row
  from "Course" c where c.id = any(${ids}::text[])`

interface CourseRow extends Pick<CourseState, 'id' | 'version' | 'instructors'> {
  readonly own: readonly unknown[]
  readonly lessons: CourseState['lessons'] | null
}

/** Courses, as commit() reads, changes and writes them. */
export const courses: Aggregate<Courses> = {
  root: 'Course',
  tables: {
    Lesson: ['id'],
    ContentItem: ['id'],
    LessonPrerequisite: ['lessonId', 'requiresId'],
    CourseInstructor: ['courseId', 'userId'],
  },
  alternateKeys: { Course: ['slug'] },
  read,
  load: (rows: readonly CourseRow[]) =>
    rows.map(({ own: found, lessons, ...row }) => ({ ...row, ...own.load(found), lessons: lessons ?? {} })),
  blank: (id) => ({ id, version: 0, ...own.blank, lessons: {}, instructors: [] }),
  missing: ({ id }) => new CourseNotFound(id),

  evolve(state, event, at) {
    const { instructors } = state
    if (event.kind === 'instructorAssigned') return { ...state, instructors: [...instructors, event.userId].sort() }
    if (event.kind === 'instructorDismissed')
      return { ...state, instructors: instructors.filter((id) => id !== event.userId) }
    const { kind, lessons, ...text } = event
    const comesOrGoes = Object.entries(lessons ?? {}).some(
      ([id, { active }]) => active !== (state.lessons[id]?.active ?? false),
    )
    const lessonsVersion = comesOrGoes || !state.version ? state.version + 1 : state.lessonsVersion
    const createdAt = state.createdAt || at
    return { ...state, ...text, lessonsVersion, createdAt, lessons: { ...state.lessons, ...lessons } }
  },

  rows(state) {
    const lessons = Object.entries(state.lessons)
    return {
      Course: [own.row(state)],
      Lesson: lessons.map(([id, { slug, position, title, active }]) => ({
        ...{ id, courseId: state.id },
        ...{ slug, position, title, active },
      })),
      ContentItem: lessons.flatMap(([lessonId, { contents }]) =>
        Object.entries(contents).map(([id, { position, title, kind, active }]) => ({
          ...{ id, lessonId },
          ...{ position, title, kind, active },
        })),
      ),
      LessonPrerequisite: lessons.flatMap(([lessonId, { requires }]) =>
        requires.map((requiresId) => ({ lessonId, requiresId })),
      ),
      CourseInstructor: state.instructors.map((userId) => ({ courseId: state.id, userId })),
    }
  },

  view: (state) => ({
    ...{ id: state.id, version: state.version, ...own.of(state) },
    total: Object.values(state.lessons).filter(({ active }) => active).length,
  }),

  topic: ({ id }) => `Course:${id}`,
}

/** What the verbs of a course share. */
export const ofCourse = {
  aggregate: courses,
  root: ({ courseId }: { readonly courseId: string }) => courseId,
  may: (_: unknown, __: unknown, actor: Actor) => mayRevise(actor),
}
