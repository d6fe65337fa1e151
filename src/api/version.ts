import { DomainError } from '../commit/errors.ts'
import { GENESIS, type JournalEvent } from '../journal/event.ts'
import { builder } from './builder.ts'
import { showError } from './domainError.ts'
import { actorIdOf } from './stream.ts'

/** One version of a root, as resolvers get it. It never changes. */
export interface VersionItem<View = object> {
  readonly event: JournalEvent
  /** The root after the change. */
  readonly view: View
  /** The same, with what the change was about; null: this is all that is left of several changes. */
  readonly changed: View | null
}

/** The version that an event made. The journal has views of all kinds of roots; the caller knows which. */
export const itemOf = <View = object>(event: JournalEvent): VersionItem<View> => ({
  event,
  view: event.view as View,
  changed: event.kind === GENESIS ? null : (event.view as View),
})

/** What all versions have. Their types have ids of their own, made of the root's and the version. */
export const Version = builder.interfaceRef<VersionItem>('HistoryVersion').implement({
  description:
    'One version of something that has a history, with an id of its own. Its state never changes; which change made ' +
    'it may be forgotten.',
  interfaces: [builder.nodeInterfaceRef()] as never,
  fields: (t) => ({
    version: t.int({ description: 'The version. Versions have no gaps.', resolve: ({ event }) => event.version }),
    occurredAt: t.field({
      type: 'DateTime',
      description: 'The commit time of the change that made this version.',
      resolve: ({ event }) => event.at,
    }),
    actorId: t.id({
      nullable: true,
      description: 'The id of the user who made the request; null: the change followed from another one.',
      resolve: ({ event }) => actorIdOf(event.actor),
    }),
  }),
})

/** The version is older than what the journal keeps. */
export class VersionPruned extends DomainError {
  readonly requestedVersion: number
  readonly oldestVersion: number | null
  readonly currentVersion: number
  constructor(requestedVersion: number, oldestVersion: number | null, currentVersion: number) {
    const kept = oldestVersion === null ? 'The journal has none of this.' : `The oldest one is ${oldestVersion}.`
    super(`Version ${requestedVersion} is no longer kept. ${kept}`)
    this.requestedVersion = requestedVersion
    this.oldestVersion = oldestVersion
    this.currentVersion = currentVersion
  }
}

/** There is no such version, or not yet. */
export class VersionNotFound extends DomainError {
  readonly requestedVersion: number
  readonly currentVersion: number
  constructor(requestedVersion: number, currentVersion: number) {
    super(`There is no version ${requestedVersion}. Wanted is one from 1 to ${currentVersion}.`)
    this.requestedVersion = requestedVersion
    this.currentVersion = currentVersion
  }
}

showError(VersionPruned, 'The version is older than what the journal keeps.', (t) => ({
  requestedVersion: t.exposeInt('requestedVersion', { description: 'The version in the request.' }),
  oldestVersion: t.exposeInt('oldestVersion', {
    nullable: true,
    description: 'The oldest version that is kept; null: none is.',
  }),
  currentVersion: t.exposeInt('currentVersion', { description: 'The current version.' }),
}))
showError(VersionNotFound, 'There is no such version, or not yet.', (t) => ({
  requestedVersion: t.exposeInt('requestedVersion', { description: 'The version in the request.' }),
  currentVersion: t.exposeInt('currentVersion', { description: 'The current version. The first one is 1.' }),
}))
