import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LessonState } from '../../src/learning/courseAggregate.ts'
import { checkLessons, InvalidCourse, problemsIn, unlockOrder } from '../../src/learning/lessonGraph.ts'

const lesson = (slug: string, requires: string[] = [], more: Partial<LessonState> = {}): LessonState => ({
  slug,
  position: 1,
  title: slug.toUpperCase(),
  active: true,
  requires,
  contents: {},
  ...more,
})

describe('the lessons of a course', () => {
  test('may require each other as long as there is a way in', () => {
    expect(
      problemsIn('c', { 'c.a': lesson('a'), 'c.b': lesson('b', ['c.a']), 'c.d': lesson('d', ['c.a', 'c.b']) }),
    ).toEqual([])
    expect(problemsIn('c', {})).toEqual([])
  })

  test.each<[string, Record<string, LessonState>, string]>([
    ['share a slug', { 'c.a': lesson('a'), 'c.b': lesson('a') }, 'Two lessons have the slug "a": c.a and c.b.'],
    ['require themselves', { 'c.a': lesson('a', ['c.a']) }, 'The lesson "a" requires itself.'],
    [
      'require what is not there',
      { 'c.a': lesson('a', ['c.b']) },
      'The lesson "a" requires c.b, which the course does not have.',
    ],
    [
      "require another course's",
      { 'c.a': lesson('a', ['d.a']) },
      'The lesson "a" requires d.a, which is of another course.',
    ],
    [
      'require the same twice',
      { 'c.a': lesson('a', ['c.b', 'c.b']), 'c.b': lesson('b') },
      'The lesson "a" requires "b" twice.',
    ],
    ['have a blank title', { 'c.a': lesson('a', [], { title: ' ' }) }, 'The lesson "a" has no title.'],
    ['have an empty slug', { 'c.a': lesson('', [], { title: 'A' }) }, 'The lesson c.a has no slug.'],
    [
      "have another course's id",
      { 'd.a': lesson('a') },
      'The lesson "a" has the id d.a, which is not an id of the course c.',
    ],
    [
      "have a content item's id",
      { 'c.a.b': lesson('a') },
      'The lesson "a" has the id c.a.b, which is not an id of the course c.',
    ],
    [
      "have another lesson's content",
      { 'c.a': lesson('a', [], { contents: { 'c.b.x': { position: 1, title: 'X', kind: 'TEXT', active: true } } }) },
      'The lesson "a" has content with the id c.b.x, which is not an id of the lesson.',
    ],
    [
      'go round in a circle',
      {
        'c.a': lesson('a'),
        'c.b': lesson('b', ['c.a', 'c.e']),
        'c.d': lesson('d', ['c.b']),
        'c.e': lesson('e', ['c.d']),
      },
      'Lessons require each other in a circle: "b" requires "e" requires "d" requires "b".',
    ],
  ])('may not %s', (_, lessons, problem) => expect(problemsIn('c', lessons)).toEqual([problem]))

  test('are reported with all their mistakes at once', () => {
    const check = () => checkLessons('c', { 'c.a': lesson('a', ['c.a', 'c.x']), 'c.b': lesson('a', [], { title: '' }) })
    expect(check).toThrow(InvalidCourse)
    const { problems } = (() => {
      try {
        check()
      } catch (error) {
        return error as InvalidCourse
      }
      throw new Error('unreachable')
    })()
    expect(problems).toHaveLength(4)
  })

  test('may not take the slug of one that the course keeps, inactive', () => {
    const lessons = { 'c.b': lesson('a') }
    expect(problemsIn('c', lessons, { ...lessons, 'c.a': lesson('a', [], { active: false }) })).toEqual([
      'Two lessons have the slug "a": c.b and c.a.',
    ])
  })
})

describe('the order in which lessons can be done', () => {
  /** Each lesson requires some of those before it; then they are shuffled. */
  const acyclic = fc
    .integer({ min: 1, max: 40 })
    .chain((size) =>
      fc.tuple(
        fc.array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: size, maxLength: size }),
        fc.shuffledSubarray([...Array(size).keys()], { minLength: size }),
      ),
    )
    .map(([picks, shuffled]) => {
      const requires = picks.map((picks, i) => (i === 0 ? [] : [...new Set(picks.map((pick) => pick % i))]))
      return new Map(shuffled.map((i) => [`c.${i}`, requires[i]!.map((j) => `c.${j}`)]))
    })
  const lessonsOf = (graph: ReadonlyMap<string, readonly string[]>) =>
    Object.fromEntries([...graph].map(([id, requires]) => [id, lesson(id, [...requires])]))

  test('puts each after those that it requires, and refuses none that has such an order', () => {
    fc.assert(
      fc.property(acyclic, (graph) => {
        const { order, cycles } = unlockOrder(graph)
        expect(cycles).toEqual([])
        expect([...order].sort()).toEqual([...graph.keys()].sort())
        const place = new Map(order.map((id, place) => [id, place]))
        for (const [id, requires] of graph)
          for (const required of requires) expect(place.get(required)).toBeLessThan(place.get(id)!)
        expect(problemsIn('c', lessonsOf(graph))).toEqual([])
      }),
    )
  })

  test('leaves an order that is one as it is', () => {
    fc.assert(
      fc.property(acyclic, (graph) => {
        const { order } = unlockOrder(graph)
        expect(unlockOrder(new Map(order.map((id) => [id, graph.get(id)!]))).order).toEqual(order)
      }),
    )
  })

  test('finds a circle that one more requirement closes, with its path', () => {
    fc.assert(
      fc.property(acyclic, fc.nat(), fc.nat(), (graph, from, steps) => {
        // a walk along the requirements, and a requirement back from its end to its beginning
        const ids = [...graph.keys()]
        const start = ids[from % ids.length]!
        let end = start
        for (let step = 0; step < steps % 5 || end === start; step++) {
          const further: readonly string[] = graph.get(end)!
          if (!further.length) break
          end = further[step % further.length]!
        }
        fc.pre(end !== start)
        const closed = new Map(graph).set(end, [...graph.get(end)!, start])
        const { cycles } = unlockOrder(closed)
        expect(cycles.length).toBeGreaterThan(0)
        for (const cycle of cycles) {
          expect(cycle[0]).toBe(cycle.at(-1))
          for (const [i, id] of cycle.slice(0, -1).entries()) expect(closed.get(id)).toContain(cycle[i + 1])
        }
        expect(problemsIn('c', lessonsOf(closed)).every((problem) => problem.includes('in a circle'))).toBe(true)
      }),
    )
  })

  test('is found for a chain that is longer than the call stack is deep', () => {
    const chain = new Map(Array.from({ length: 100_000 }, (_, i) => [`${i}`, [`${i + 1}`]] as const)).set(
      '100000',
      [] as never,
    )
    expect(unlockOrder(chain).order[0]).toBe('100000')
    expect(unlockOrder(new Map(chain).set('100000', ['0'])).cycles[0]).toHaveLength(100_002)
  })
})
