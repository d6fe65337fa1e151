import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** The files that take longest: each more than half a minute, those that mostly wait between those that work. */
const longest = [
  'learning/wholeTrack',
  'live/socket',
  'live/processes',
  'command/start',
  'commit/faults',
  'live/crowd',
  'live/slow',
  'live/sharing',
  'embedded/embedded',
  'commit/interleavings',
  'licensing/interleavings',
]

/** Runs the longest files first, so that none of them is left to run alone at the end. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = longest.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`))
      return place < 0 ? longest.length : place
    }
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other))
  }
}
