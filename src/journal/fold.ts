import type { Aggregate, Shape } from '../commit/aggregate.ts'
import { GENESIS, type JournalEvent } from './event.ts'

/** The state after an event. A genesis event has that state in its `data`. */
export function evolved<S extends Shape>(
  aggregate: Aggregate<S>,
  state: S['state'],
  { rootId, version, kind, data, at }: Pick<JournalEvent, 'rootId' | 'version' | 'kind' | 'data' | 'at'>,
): S['state'] {
  const after =
    kind === GENESIS
      ? { ...aggregate.blank(rootId), ...data }
      : aggregate.evolve(state, { kind, ...data } as S['event'], at) // as it was written by this aggregate
  return { ...after, version }
}
