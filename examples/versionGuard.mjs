// Keeps late answers out of a normalized cache, until Lockstep has a client package that does it.
//
// An answer over HTTP can arrive after a newer change did over the stream. Written to the cache, it would bring back
// old data. This class remembers the version at which each field of each object was seen, and finds what is older.
//
// It compares a root, and what hangs below it, by the root's version. So select `id` and `version` with each root. It
// can't compare what belongs to no root of the result: lists such as `Query.courses`, people, and the lessons of an
// enrollment's progress. It knows fields by their names in the result: give no two fields of a type the same alias.
import possibleTypes from '../possibleTypes.json' with { type: 'json' }

/** Each type of root, and what hangs below it without a version of its own. */
const roots = {
  Course: [],
  Enrollment: ['CourseCompletion', 'LessonProgress'],
  Plan: ['Workout', 'WorkoutSelection'],
  SpecializationProgress: ['License', 'LicenseProgression'],
}
const isRoot = (value) => value?.__typename in roots && value.id && Number.isInteger(value.version)

/** Of payloads and items of streams, each is about one root, and all in it is of that root's version. */
const isAboutOneRoot = ({ __typename }) =>
  possibleTypes.Payload.includes(__typename) || possibleTypes.StreamItem.includes(__typename)

const isList = (value) => Array.isArray(value) || /Connection$/.test(value?.__typename)

export class VersionGuard {
  /** By object and field. */
  #seen = new Map()

  /** After signing out, and where a history was replaced: versions begin anew. */
  forget() {
    this.#seen.clear()
  }

  /**
   * The objects of a result that are older than what was seen, each with the names of its fields that are. With a
   * `scope`, a list is older only than what was seen with the same scope: lists have arguments.
   */
  olderIn(data, scope = '') {
    const older = new Map()
    const walk = (value, root) => {
      if (Array.isArray(value)) for (const each of value) walk(each, root)
      else if (value && typeof value === 'object') {
        if (value.reason === 'HISTORY_REPLACED') this.forget()
        const own = isRoot(value) ? value : isAboutOneRoot(value) ? Object.values(value).find(isRoot) : root
        if (own && value.id && (value === own || roots[own.__typename].includes(value.__typename))) {
          const fields = this.#see(value, own.version, scope)
          if (fields.length) older.set(value, fields)
        }
        for (const each of Object.values(value)) walk(each, own)
      }
    }
    walk(data)
    return older
  }

  /** Remembers an object of a version; returns the names of its fields that were seen at a newer one. */
  #see(object, version, scope) {
    const key = `${object.__typename}:${object.id}`
    const seen = this.#seen.get(key) ?? new Map()
    this.#seen.set(key, seen)
    return Object.keys(object).filter((field) => {
      if (['__typename', 'id', 'asOf'].includes(field)) return false // a past version is never too old
      const name = isList(object[field]) ? `${field} ${scope}` : field
      const newest = seen.get(name) ?? 0
      seen.set(name, Math.max(newest, version))
      return version < newest
    })
  }
}
