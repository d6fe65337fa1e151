import { DomainError } from '../commit/errors.ts'
import type { VersionHead } from '../journal/history.ts'
import { builder } from './builder.ts'
import { showError } from './domainError.ts'
import { actorIdOf } from './globalId.ts'

/** One version of a root, as resolvers get it. It never changes. What else it shows is read if a field asks for it. */
export type VersionItem = VersionHead

/** What a version shows besides its head. */
export interface Shown<View> {
  /** The root after the change. */
  readonly view: View
  /** The same, with what the change was about; null: this is all that is left of several changes. */
  readonly changed: View | null
}

/** What all versions have. Their types have ids of their own, made of the root's and the version. */
export const Version = builder.interfaceRef<VersionItem>('HistoryVersion').implement({
  description:
    'One version of something that has a history, with an id of its own. Its state never changes; which change made ' +
    'it may be forgotten.',
  interfaces: [builder.nodeInterfaceRef()] as never,
  fields: (t) => ({
    version: t.exposeInt('version', { description: 'The version. Versions have no gaps.' }),
    occurredAt: t.field({
      type: 'DateTime',
      description: 'The commit time of the change that made this version.',
      resolve: ({ at }) => at,
    }),
    actorId: t.id({
      nullable: true,
      description: 'The id of the user who made the request; null: the change followed from another one.',
      resolve: ({ actor }) => actorIdOf(actor),
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
