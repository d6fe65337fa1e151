import type { Command } from '../api/command.ts'

const load = () => import('./userCommands.ts')

/** What operators do with users and their sessions. */
export const commands: readonly Command[] = [
  { words: ['user', 'add'], load: () => load().then(({ add }) => add) },
  { words: ['user', 'token'], load: () => load().then(({ token }) => token) },
  { words: ['user', 'list'], load: () => import('./listUsers.ts').then(({ list }) => list) },
  { words: ['user', 'out'], load: () => load().then(({ out }) => out) },
]
