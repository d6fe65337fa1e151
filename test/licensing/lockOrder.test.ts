import { describe, expect, test } from 'vitest'
import { levelUp } from '../../src/licensing/levelUp.ts'
import { standingOf } from '../../src/licensing/id.ts'
import { updateLevel } from '../../src/licensing/updateLevel.ts'
import { academy, system } from '../academy.ts'
import { outsiders, patience, recorded } from '../classroom.ts'
import { outcome, race, world } from '../world.ts'
import { expectSound } from './standing.ts'

const w = await world()
const { outsider, gate, untilBlocked } = await outsiders(w)
const { commit, record } = recorded(w)
const { person } = academy(commit)

const up = (userId: string, xpGained: number, key?: string) =>
  commit(levelUp, {
    actor: system,
    key,
    input: { userId, specialization: 'PLAYER', xpGained, sessionsCompleted: 1, reason: 'a test' },
  })

/** A user who has begun. */
async function begun() {
  const { id } = await person()
  await up(id, 50)
  record.clear()
  return { id, standing: standingOf(id, 'PLAYER') }
}

describe('the progress is locked before the license', () => {
  test('a request that waits for the progress does not hold the license', async () => {
    const { id, standing } = await begun()
    const holder = await outsider()
    await holder.query('select from "SpecializationProgress" where id = $1 for no key update', [standing])
    const waiting = up(id, 100)
    await untilBlocked()
    await holder.query('select from "License" where id = $1 for update nowait', [standing]) // it is free
    await holder.end('commit')
    expect(await waiting).toMatchObject({ version: 3 })
    await expectSound(w, id)
  })

  test('a request that waits for the license holds the progress', async () => {
    const { id, standing } = await begun()
    const holder = await outsider()
    await holder.query('select from "License" where id = $1 for update', [standing])
    const waiting = up(id, 100)
    await untilBlocked()
    const looking = await outsider()
    expect(
      (
        (await outcome(
          looking.query('select from "SpecializationProgress" where id = $1 for update nowait', [standing]),
        )) as { code?: string }
      ).code,
    ).toBe('55P03')
    await looking.end()
    await holder.end('commit')
    expect(await waiting).toMatchObject({ version: 3 })
    await expectSound(w, id)
  })

  test(
    'if an outsider locks them the other way round, PostgreSQL ends the deadlock and the request is ' + 'repeated',
    async () => {
      // PostgreSQL looks for a deadlock once, after a wait of a second, so timing decides which of the two it ends.
      // Repeat until it has ended ours.
      for (let isOurs = false; !isOurs; ) {
        const { id, standing } = await begun()
        const holder = await outsider()
        await holder.query('select from "License" where id = $1 for update', [standing])
        const waiting = up(id, 100, `once ${id}`)
        await untilBlocked()
        const theirs = await outcome(
          holder.query('select from "SpecializationProgress" where id = $1 for update', [standing]),
        )
        isOurs = !(theirs instanceof Error)
        if (isOurs) await holder.query('update "License" set "issuedAt" = "issuedAt" where id = $1', [standing])
        else expect(theirs).toMatchObject({ code: '40P01' })
        await holder.end('commit')
        expect(await waiting).toMatchObject({ version: 3, replayed: false })
        expect(record.met.retry ?? []).toEqual(
          isOurs ? [expect.objectContaining({ error: expect.stringContaining('deadlock') })] : [],
        )
        await expectSound(w, id)
      }
    },
  )

  test('two specializations of one user are two locks', async () => {
    const { id, standing } = await begun()
    const holder = await outsider()
    await holder.query('select from "SpecializationProgress" where id = $1 for update', [standing])
    const waiting = up(id, 100)
    await untilBlocked()
    await commit(levelUp, {
      actor: system,
      input: { userId: id, specialization: 'COACH', xpGained: 250, sessionsCompleted: 1, reason: 'a test' },
    })
    await expectSound(w, id, 'COACH')
    await holder.end('commit')
    await waiting
    await expectSound(w, id)
  })

  test('200 requests on the same two users make no deadlock', async () => {
    const people = await Promise.all([begun(), begun()])
    await race(200, (i) => up(people[i % 2]!.id, 1))
    expect(record.times('retry')).toBe(0)
    for (const { id } of people) await expectSound(w, id)
  })
})

test(
  'if the connection is ended before COMMIT, neither record is changed, and the request is repeated',
  async () => {
    const { id, standing } = await begun()
    const shut = await gate()
    const flying = commit(updateLevel, {
      actor: system,
      key: 'interrupted',
      input: {
        ...{ userId: id, specialization: 'PLAYER', newLevel: 6, reason: 'a test' },
        ...{ xpChange: 10, sessionsChange: 0, theoryHoursChange: 0, practiceHoursChange: 0 },
      },
    })
    const [pid] = await shut.reached() // both rows are written by then, and not committed
    expect(
      await w.query(
        'select p."currentLevel" as progress, l."currentLevel" as license from "SpecializationProgress" p join ' +
          '"License" l using (id) where id = $1',
        [standing],
      ),
    ).toEqual([{ progress: 1, license: 1 }])
    await w.query('select pg_terminate_backend($1)', [pid])
    await shut.open()
    expect(await flying).toMatchObject({
      version: 3,
      changed: true,
      view: { progress: { currentLevel: 6, totalXp: 60 }, license: { currentLevel: 6 } },
    })
    await expectSound(w, id)
  },
  patience.timeout * 2,
)
