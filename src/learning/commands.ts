import type { Command } from '../api/command.ts'

const teaching = () => import('./teachingCommands.ts')

/** What operators do with courses and those who teach them. */
export const commands: readonly Command[] = [
  { words: ['import', 'exercism'], load: () => import('./importTrack.ts').then(({ importTrack }) => importTrack) },
  { words: ['user', 'teach'], load: () => teaching().then(({ teach }) => teach) },
  { words: ['user', 'unteach'], load: () => teaching().then(({ unteach }) => unteach) },
]
