import { defineCommand } from 'citty'
import { parseConfig } from '../operator/config.ts'
import type { Db } from '../database/client.ts'
import type { FileProblem } from '../operator/jsonFile.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { definitionOf, importPlan, previewImport } from '../planning/importPlan.ts'
import { largestExercises, readExercises } from '../planning/exerciseFile.ts'
import type { FillPlanAnswer, PlanDefinition } from '../planning/fillPlan.ts'
import { LONGEST_TITLE, titleFault } from '../planning/text.ts'
import { lookOnly, writing } from './importDatabase.ts'
import { bytesOf, problemLines, readWhole, refused } from '../operator/inputFile.ts'
import { columns, print, printJson } from '../operator/print.ts'
import { progressBar } from '../operator/progressBar.ts'

/** What the command answers with --json. */
interface Imported {
  readonly dryRun: boolean
  readonly plan: { readonly id: string; readonly ownerId: string; readonly title: string; readonly created: boolean }
  readonly workouts: { readonly added: number; readonly revised: number; readonly unchanged: number }
  /** What is wrong with the entries that were left out. */
  readonly skipped: readonly FileProblem[]
}

/** Fills a plan from a file of exercises, or brings it up to the file. */
export const importExercises = defineCommand({
  meta: {
    name: 'exercises',
    description:
      "Fill somebody's plan from a file of exercises, or bring it up to the file; what they have selected stays",
  },
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
    'dry-run': { type: 'boolean', default: false, description: 'Say what would change, and change nothing' },
    json: { type: 'boolean', default: false, description: 'Answer in JSON' },
  },
  async run({ args: { file, owner, json, title: given, 'dry-run': dryRun, 'skip-invalid': skip } }) {
    const title = given.trim()
    const fault = titleFault(title)
    if (fault)
      throw new OperatorError(
        `--title ${fault}. Wanted is 1 to ${LONGEST_TITLE} characters on one line.`,
        exitCode.usage,
      )
    const config = parseConfig()
    const bytes = await bytesOf(file, largestExercises, 'list of exercises')
    const { exercises, problems } = readWhole(file, () => readExercises(bytes))
    if (problems.length && !skip)
      throw refused(
        file,
        problems,
        `The other ${exercises.length.toLocaleString('en-US')} can be: --skip-invalid takes them and leaves these out.`,
      )

    const definition = definitionOf(exercises, owner, title)
    const { created, added, revised } = dryRun
      ? await lookOnly(config, {
          empty: () => {
            throw unknown(owner)
          },
          found: async ({ db }) => {
            await expectOwner(db, owner)
            return previewImport(db, definition)
          },
        })
      : await writing(config, async ({ db, commit }, { signal, stopIfTold }) => {
          await expectOwner(db, owner)
          return carryOut(
            definition,
            (onProgress) => importPlan({ commit, definition, onProgress, signal }),
            stopIfTold,
          )
        })
    const unchanged = exercises.length - added - revised
    const done = {
      dryRun,
      plan: { id: definition.planId, ownerId: owner, title, created },
      workouts: { added, revised, unchanged },
      skipped: problems,
    }
    if (json) printJson(done)
    else print(said(done, file))
  },
})

async function expectOwner(db: Db, id: string): Promise<void> {
  if (!(await db.user.findUnique({ where: { id }, select: { id: true } }))) throw unknown(id)
}

const unknown = (id: string) => new OperatorError(`There is no user ${id}. Nothing was imported.`, exitCode.data)

/** A Ctrl-C between two commits ends it in order; the same import again does what is left. */
async function carryOut(
  { workouts }: PlanDefinition,
  work: (onProgress: (done: number) => void) => Promise<FillPlanAnswer & { readonly done: number }>,
  stopIfTold: (sentence: string) => void,
): Promise<FillPlanAnswer> {
  const bar = progressBar('workouts', workouts.length)
  try {
    const { done, ...total } = await work(bar.update)
    if (done < workouts.length)
      stopIfTold(
        `Interrupted. ${done.toLocaleString('en-US')} of ${workouts.length.toLocaleString('en-US')} workouts were imported; the same import again does the others.`,
      )
    return total
  } finally {
    bar.stop()
  }
}

function said({ dryRun, plan, workouts: { added, revised, unchanged }, skipped }: Imported, file: string): string {
  const number = (count: number) => count.toLocaleString('en-US')
  const changed = added + revised > 0 || plan.created
  const verb = plan.created ? 'created' : 'changed'
  const counts = [`${number(added)} added`, `${number(revised)} revised`, `${number(unchanged)} as the file says`]
  return [
    changed
      ? `${plan.title} ${dryRun ? `would be ${verb}` : `was ${verb}`} from ${file}.`
      : `${plan.title} is as the file says.`,
    '',
    columns([
      ['  Plan', `${plan.id}, of ${plan.ownerId}`],
      ['  Workouts', counts.join(', ')],
    ]),
    ...(skipped.length
      ? ['', `Left out${dryRun ? '' : ', since something is wrong with them'}:`, ...problemLines(skipped)]
      : []),
    ...(dryRun ? ['', 'A dry run: nothing was changed.'] : []),
  ].join('\n')
}
