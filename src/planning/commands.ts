import type { Command } from '../api/command.ts'

/** What operators do with plans. */
export const commands: readonly Command[] = [
  {
    words: ['import', 'exercises'],
    load: () => import('./importExercises.ts').then(({ importExercises }) => importExercises),
  },
]
