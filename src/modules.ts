import type { Module } from './api/module.ts'
import { commands as identity } from './identity/commands.ts'
import { commands as learning } from './learning/commands.ts'
import { commands as planning } from './planning/commands.ts'

/** All modules. So far, what they have for the command line. */
export const modules: readonly Module[] = [
  { name: 'identity', aggregates: [], verbs: [], nouns: [], commands: identity },
  { name: 'learning', aggregates: [], verbs: [], nouns: [], commands: learning },
  { name: 'planning', aggregates: [], verbs: [], nouns: [], commands: planning },
]
