import { command, type Desk, dryRun, json } from '../api/command.ts'
import type { Db } from '../database/client.ts'
import { bytesOf, problemLines, readWhole, refused } from '../operator/inputFile.ts'
import type { FileProblem } from '../operator/jsonFile.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { aligned, print, printJson } from '../operator/print.ts'
import { progressBar } from '../operator/progressBar.ts'
import { importPlan, definitionOf, previewImport } from './importPlan.ts'
import { type ExerciseFile, largestExercises, readExercises } from './exerciseFile.ts'
import type { FillPlanAnswer, PlanDefinition } from './fillPlan.ts'
import { LONGEST_TITLE, titleFault } from './text.ts'

/** The answer with --json. */
interface Imported {
  readonly dryRun: boolean
  readonly plan: { readonly id: string; readonly ownerId: string; readonly title: string; readonly created: boolean }
  readonly workouts: { readonly added: number; readonly revised: number; readonly unchanged: number }
  /** The entries that were left out, and why. */
  readonly skipped: readonly FileProblem[]
}

/** `lockstep import exercises`: fills a plan from a file of exercises, or brings the plan up to the file. */
export const importExercises = command({
  description:
    "Fill somebody's plan from a file of exercises, or bring it up to the file; what they have selected stays",
  examples: [
    'import exercises examples/exercises.json --owner ada --dry-run',
    'import exercises examples/exercises.json --owner ada --title "Strength training" --skip-invalid',
  ],
  args: {
    file: {
      type: 'positional',
      required: true,
      description: 'Where the file is; its format is that of free-exercise-db',
    },
    owner: { type: 'string', required: true, description: 'The id of the user whose plan it is' },
    title: {
      type: 'string',
      default: 'Exercises',
      description: 'What the plan is called; the same owner and title are the same plan',
    },
    'skip-invalid': {
      type: 'boolean',
      default: false,
      description: 'Leave out the entries that are wrong, and take the others',
    },
    'dry-run': dryRun,
    json,
  },
  async run({ file, owner, json, title: given, 'dry-run': dryRun, 'skip-invalid': skip }, desk) {
    const title = titleOf(given)
    const { exercises, problems } = await read(file, skip)
    const definition = definitionOf(exercises, owner, title)
    const { created, added, revised } = dryRun ? await preview(desk, definition) : await apply(desk, definition)
    const done = {
      dryRun,
      plan: { id: definition.planId, ownerId: owner, title, created },
      workouts: { added, revised, unchanged: exercises.length - added - revised },
      skipped: problems,
    }
    if (json) printJson(done)
    else print(summary(done, file))
  },
})

function titleOf(given: string): string {
  const title = given.trim()
  const fault = titleFault(title)
  if (!fault) return title
  const sentence = `--title ${fault}. Wanted is 1 to ${LONGEST_TITLE} characters on one line.`
  throw new OperatorError(sentence, exitCode.usage)
}

async function read(file: string, skip: boolean): Promise<ExerciseFile> {
  const bytes = await bytesOf(file, largestExercises, 'list of exercises')
  const { exercises, problems } = readWhole(file, () => readExercises(bytes))
  if (!problems.length || skip) return { exercises, problems }
  const hint = `The other ${number(exercises.length)} can be: --skip-invalid takes them and leaves these out.`
  throw refused(file, problems, hint)
}

function preview({ look }: Desk, definition: PlanDefinition): Promise<FillPlanAnswer> {
  return look({
    empty() {
      throw unknownOwner(definition.ownerId)
    },
    async found({ db }) {
      await expectOwner(db, definition.ownerId)
      return previewImport(db, definition)
    },
  })
}

/** A Ctrl-C between two commits ends it in order; the same import again does the others. */
function apply({ work }: Desk, definition: PlanDefinition): Promise<FillPlanAnswer> {
  const total = definition.workouts.length
  return work(async ({ db, commit, signal, stopIfInterrupted }) => {
    await expectOwner(db, definition.ownerId)
    const bar = progressBar('workouts', total)
    try {
      const { done, ...answer } = await importPlan({ commit, definition, onProgress: bar.update, signal })
      if (done < total)
        stopIfInterrupted(
          `Interrupted. ${number(done)} of ${number(total)} workouts were imported; the same import again ` +
            'does the others.',
        )
      return answer
    } finally {
      bar.stop()
    }
  })
}

async function expectOwner(db: Db, id: string): Promise<void> {
  if (!(await db.user.findUnique({ where: { id }, select: { id: true } }))) throw unknownOwner(id)
}

const unknownOwner = (id: string) => new OperatorError(`There is no user ${id}. Nothing was imported.`, exitCode.data)

const number = (count: number) => count.toLocaleString('en-US')

function summary({ dryRun, plan, workouts: { added, revised, unchanged }, skipped }: Imported, file: string): string {
  const changed = added + revised > 0 || plan.created
  const verb = plan.created ? 'created' : 'changed'
  const counts = [`${number(added)} added`, `${number(revised)} revised`, `${number(unchanged)} as the file says`]
  return [
    changed
      ? `${plan.title} ${dryRun ? `would be ${verb}` : `was ${verb}`} from ${file}.`
      : `${plan.title} is as the file says.`,
    '',
    aligned([
      ['  Plan', `${plan.id}, of ${plan.ownerId}`],
      ['  Workouts', counts.join(', ')],
    ]),
    ...(skipped.length
      ? ['', `Left out${dryRun ? '' : ', since something is wrong with them'}:`, ...problemLines(skipped)]
      : []),
    ...(dryRun ? ['', 'A dry run: nothing was changed.'] : []),
  ].join('\n')
}
