import { defineCommand } from 'citty'
import { importExercises } from './importExercises.ts'
import { importTrack } from './importTrack.ts'

/** Brings in what is in a file; a second time, what is new in it. */
export const importFile = defineCommand({
  meta: { name: 'import', description: 'Make a course or a plan of a file, or bring it up to the file' },
  subCommands: { exercism: importTrack, exercises: importExercises },
})
