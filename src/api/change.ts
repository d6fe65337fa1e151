import { encodeGlobalID } from '@pothos/plugin-relay'
import type { SchemaTypes } from './builder.ts'
import type { ChangeItem } from '../journal/follow.ts'

/** What every change tells. */
export const change = (t: PothosSchemaTypes.ObjectFieldBuilder<SchemaTypes, ChangeItem>) => ({
  cursor: t.expose('cursor', {
    type: 'Cursor',
    description: 'Behind this change; what to give as `after` to go on from here.',
  }),
  version: t.exposeInt('version', {
    description: 'The version that the change made. Of one thing, versions follow each other without a gap.',
  }),
  occurredAt: t.field({
    type: 'DateTime',
    description: 'When it was committed, by the database’s turn and this server’s clock.',
    resolve: ({ event }) => event.at,
  }),
  actorId: t.id({
    nullable: true,
    description: 'The user who asked for it; null: it followed from something else.',
    resolve: ({ event }) => (event.actor === 'system' ? null : encodeGlobalID('User', event.actor)),
  }),
})
