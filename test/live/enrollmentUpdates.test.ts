import { expect, test } from 'vitest'
import { academy } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { world } from '../world.ts'
import { ENROLLMENT, socketClient, subscribe, subscribeEvents, type Told } from './client.ts'

const w = await world()
const { commit } = w.process()
const { person, course } = academy(commit)
const api = await serve(w)

test.each(['WebSocket', 'server-sent events'])(
  'over %s: the present comes first, then each change as it was committed, in order',
  async (transport) => {
    const learner = await person()
    const lessons = await course(3)
    payload(await api.enroll(learner.token, lessons.id))
    const id = globalId('Enrollment', enrollmentOf(learner.id, lessons.id))
    const client = socketClient(api.url, learner.token)
    const stream =
      transport === 'WebSocket'
        ? subscribe<{ enrollmentUpdates: Told }>(client, ENROLLMENT, { id })
        : subscribeEvents<{ enrollmentUpdates: Told }>(api.url, ENROLLMENT, { id }, learner.token)
    await stream.until(1)
    for (const n of [1, 2, 3]) payload(await api.complete(learner.token, lessons.lesson(n)))
    const told = (await stream.until(5)).map(({ enrollmentUpdates }) => enrollmentUpdates)
    console.log(JSON.stringify(told, null, 1))
    expect(told.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5])
    stream.stop()
    await client.dispose()
  },
)
