import { type Actor, type Aggregate, instant, type Wanted } from '../commit/aggregate.ts'
import { sql } from '../database/client.ts'
import { DomainError, Forbidden } from '../commit/errors.ts'

/** There is no such course. */
export class CourseNotFound extends DomainError {
  readonly courseId: string
  constructor(courseId: string) {
    super('There is no such course.')
    this.courseId = courseId
  }
}

/** A course with all that hangs below it. */
export interface CourseState extends CourseText {
  readonly id: string
  /** 0: there is none yet. */
  readonly version: number
  /** The version that last changed which lessons are active, and so how far learners are. */
  readonly lessonsVersion: number
  readonly createdAt: string
  readonly lessons: Readonly<Record<string, LessonState>>
  /** The ids of the users who teach it. */
  readonly instructors: readonly string[]
}
export interface CourseText {
  readonly slug: string
  readonly title: string
  readonly description: string
}
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

/** What can happen to a course. A revision bears what it changed, each changed lesson whole. */
export type CourseEvent =
  | ({ readonly kind: 'courseRevised'; readonly lessons?: Readonly<Record<string, LessonState>> } & Partial<CourseText>)
  | { readonly kind: 'instructorAssigned'; readonly userId: string }
  | { readonly kind: 'instructorDismissed'; readonly userId: string }

/** A course as answers and subscribers are shown it. */
export interface CourseView extends CourseText {
  readonly id: string
  readonly version: number
  readonly createdAt: string
  /** How many active lessons it has. */
  readonly total: number
}

/** The types of the course's aggregate. */
export interface Courses {
  readonly state: CourseState
  readonly event: CourseEvent
  readonly view: CourseView
}

/** A course is changed by admins, and by operators at the command line. */
export function mayRevise(actor: Actor): void {
  if (actor.role !== 'ADMIN' && actor.role !== 'SYSTEM') throw new Forbidden('Only an admin may change a course.')
}

const read = ({ ids }: Wanted) => sql`
  select json_build_object('id', c.id, 'version', c.version, 'lessonsVersion', c."lessonsVersion", 'slug', c.slug, 'title', c.title, 'description', c.description, 'createdAt', c."createdAt",
    'lessons', (select coalesce(json_object_agg(l.id, json_build_object('slug', l.slug, 'position', l.position, 'title', l.title, 'active', l.active,
      'requires', array(select q."requiresId" from "LessonPrerequisite" q where q."lessonId" = l.id order by 1),
      'contents', (select coalesce(json_object_agg(i.id, json_build_object('position', i.position, 'title', i.title, 'kind', i.kind, 'active', i.active)), '{}') from "ContentItem" i where i."lessonId" = l.id))), '{}')
      from "Lesson" l where l."courseId" = c.id),
    'instructors', array(select i."userId" from "CourseInstructor" i where i."courseId" = c.id order by 1)) as row
  from "Course" c where c.id = any(${ids}::text[])`

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
  load: (rows: readonly CourseState[]) => rows.map((row) => ({ ...row, createdAt: instant(row.createdAt) })),
  blank: (id) => ({
    id,
    version: 0,
    lessonsVersion: 0,
    slug: '',
    title: '',
    description: '',
    createdAt: '',
    lessons: {},
    instructors: [],
  }),
  missing: ({ id }) => new CourseNotFound(id),

  evolve(state, event, at) {
    if (event.kind === 'instructorAssigned')
      return { ...state, instructors: [...state.instructors, event.userId].sort() }
    if (event.kind === 'instructorDismissed')
      return { ...state, instructors: state.instructors.filter((id) => id !== event.userId) }
    const { kind, lessons, ...text } = event
    const comesOrGoes = Object.entries(lessons ?? {}).some(
      ([id, { active }]) => active !== (state.lessons[id]?.active ?? false),
    )
    const lessonsVersion = comesOrGoes || !state.version ? state.version + 1 : state.lessonsVersion
    return {
      ...state,
      ...text,
      lessonsVersion,
      createdAt: state.createdAt || at,
      lessons: { ...state.lessons, ...lessons },
    }
  },

  rows({ id, version, lessonsVersion, slug, title, description, createdAt, lessons, instructors }) {
    const entries = Object.entries(lessons)
    return {
      Course: [{ id, version, lessonsVersion, slug, title, description, createdAt }],
      Lesson: entries.map(([lessonId, { slug, position, title, active }]) => ({
        id: lessonId,
        courseId: id,
        slug,
        position,
        title,
        active,
      })),
      ContentItem: entries.flatMap(([lessonId, { contents }]) =>
        Object.entries(contents).map(([itemId, item]) => ({
          id: itemId,
          lessonId,
          position: item.position,
          title: item.title,
          kind: item.kind,
          active: item.active,
        })),
      ),
      LessonPrerequisite: entries.flatMap(([lessonId, { requires }]) =>
        requires.map((requiresId) => ({ lessonId, requiresId })),
      ),
      CourseInstructor: instructors.map((userId) => ({ courseId: id, userId })),
    }
  },

  view: ({ id, version, slug, title, description, createdAt, lessons }) => ({
    id,
    version,
    slug,
    title,
    description,
    createdAt,
    total: Object.values(lessons).filter(({ active }) => active).length,
  }),

  topic: ({ id }) => `Course:${id}`,
}
