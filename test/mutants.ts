// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is source text that is looked for
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Takes the guards of the way in and of the way out away, one at a time, in a copy of the tree, and sees whether a test
 * notices. A guard without which all tests pass is one that nobody would miss. `npm run mutants`, or `npm run mutants
 * -- <word>` for those whose name has the word; with --check it is only seen whether they can still be made.
 */
interface Mutant {
  readonly name: string
  readonly file: string
  /** What stands there, exactly once, and what shall stand there instead. */
  readonly change: readonly (readonly [from: string, to: string])[]
  /** The test files that are to notice; without, those of the way in. */
  readonly tests?: readonly string[]
}

const OUT = ['journal/tail', 'journal/follow']
const LIVE = ['live/access', 'live/sharing']

const mutants: readonly Mutant[] = [
  { name: 'nothing taken away', file: 'src/commit/batch.ts', change: [] },
  {
    name: 'no lock',
    file: 'src/commit/lockAndRead.ts',
    change: [
      ['order by id for no key update`', 'order by id`'],
      ['(${locking} skip locked)', '(${locking})'],
    ],
  },
  {
    name: 'waiting, read before the lock',
    file: 'src/commit/lockAndRead.ts',
    change: [
      [
        "const locked = await tx.query<Shape['state']>(locking)\n    const [row] = await " +
          'tx.query<Read>(sql`select ${reading}`)\n',
        'const [row] = await tx.query<Read>(sql`select ${reading}`)\n    const locked = await ' +
          "tx.query<Shape['state']>(locking)\n",
      ],
    ],
  },
  {
    name: 'not waiting, versions not compared',
    file: 'src/commit/lockAndRead.ts',
    change: [['if (!stale) return', 'if (stale >= 0) return']],
  },
  {
    name: 'skip locked not said',
    file: 'src/commit/lockAndRead.ts',
    change: [['(${locking} skip locked)', '(${locking})']],
  },
  {
    name: 'settings of a session: whether they arrive is not looked at',
    file: 'src/database/session.ts',
    change: [['if (found.mark !== mark)', 'if (found.mark === undefined)']],
    tests: ['command/pooler'],
  },
  {
    name: 'settings of a session: those of the address replace ours',
    file: 'src/database/connection.ts',
    change: [['if (!own.length) return', 'if (own.length >= 0) return']],
    tests: ['database/pool'],
  },
  {
    name: 'settings of a session: the search path is the address’s',
    file: 'src/database/connection.ts',
    change: [[' -c search_path=public', '']],
    tests: ['database/pool'],
  },
  { name: 'locks for update', file: 'src/commit/lockAndRead.ts', change: [['for no key update', 'for update']] },
  { name: 'keys of updates named', file: 'src/commit/save.ts', change: [[' && !unnamed.includes(name)', '']] },
  {
    name: 'new roots in order of arrival',
    file: 'src/commit/batch.ts',
    change: [['[...this.#after.keys()].sort()', '[...this.#after.keys()]']],
  },
  {
    name: 'keys not read',
    file: 'src/commit/lockAndRead.ts',
    change: [
      ['new Map(known.map((answer) => [keyOf(answer.actor, answer.key), answer]))', 'new Map<string, KnownAnswer>()'],
    ],
  },
  {
    name: 'keys not written',
    file: 'src/commit/batch.ts',
    change: [['rows: this.#keys }', 'rows: this.#keys.slice(0, 0) }']],
  },
  {
    name: 'keys without their request',
    file: 'src/commit/batch.ts',
    change: [['if (known.request !== fingerprintOf(request))', 'if (known.request === undefined)']],
  },
  {
    name: 'no halving',
    file: 'src/commit/attempt.ts',
    change: [['else if (this.#batch.length > 1 && ', 'else if (this.#batch.length > 1_000 && ']],
  },
  {
    name: 'halving lets the second half overtake',
    file: 'src/commit/attempt.ts',
    change: [['const heldRoots = new Set(held.map(({ root }) => root))', 'const heldRoots = new Set<string>()']],
  },
  {
    name: 'transient errors not retried',
    file: 'src/commit/attempt.ts',
    change: [['return isTransient(error) && this.#attempt < this.#max', 'return false']],
  },
  {
    name: 'races not retried',
    file: 'src/commit/attempt.ts',
    change: [['if (isRace(error)) return ', 'if (isRace(error)) return this.#attempt < 0 && ']],
  },
  {
    name: 'retries without end',
    file: 'src/commit/attempt.ts',
    change: [['isTransient(error) && this.#attempt < this.#max', 'isTransient(error) && this.#attempt < 200']],
  },
  {
    name: 'a shared batch retries its lock timeout',
    file: 'src/commit/attempt.ts',
    change: [
      [
        "if (this.#lock === 'skip' && isLockTimeout(error)) return",
        "if (this.#lock === 'skip' && isLockTimeout(error) && this.#attempt > 8) return",
      ],
      ['if (isLockTimeout(error)) return this.#attempt < 2', 'if (isLockTimeout(error)) return this.#attempt < 8'],
    ],
  },
  {
    name: 'not asked what became of a COMMIT: committed',
    file: 'src/commit/attempt.ts',
    change: [['const outcome = await this.#askOutcome(result.xid, result)', "const outcome: string = 'committed'"]],
  },
  {
    name: 'not asked what became of a COMMIT: aborted',
    file: 'src/commit/attempt.ts',
    change: [['const outcome = await this.#askOutcome(result.xid, result)', "const outcome: string = 'aborted'"]],
  },
  {
    name: 'not asked what became of a COMMIT: unknown',
    file: 'src/commit/attempt.ts',
    change: [['const outcome = await this.#askOutcome(result.xid, result)', "const outcome: string = 'unknown'"]],
  },
  {
    name: 'the number of a transaction taken for the transaction',
    file: 'src/commit/outcome.ts',
    change: [["if (status === 'committed' && event)", "if (status === 'committed' && !row)"]],
  },
  {
    name: 'lost connections not retried',
    file: 'src/commit/attempt.ts',
    change: [
      [
        'if (isDisconnection(error)) return this.#attempt < 2 || performance.now() - this.#begun < outageMs',
        'if (isDisconnection(error)) return false',
      ],
    ],
  },
  {
    name: 'a root in flight twice',
    file: 'src/commit/queue.ts',
    change: [['!this.#busy.has(root) && !this.#held.has(root)', '!this.#held.has(root)']],
  },
  { name: 'batches without limit', file: 'src/commit/queue.ts', change: [['batch.length < maxBatch && ', '']] },
  {
    name: 'any number in flight',
    file: 'src/commit/queue.ts',
    change: [['while (this.#inFlight < maxInFlight)', 'while (true)']],
  },
  {
    name: 'requests queued behind a failed batch are not given up',
    file: 'src/commit/queue.ts',
    change: [['if (!givenUp.length) return\n', 'if (givenUp.length >= 0) return\n']],
  },
  {
    name: 'a watcher may throw',
    file: 'src/commit/commit.ts',
    change: [['const watch = harmless(options.watch ?? {})', 'const watch = options.watch ?? {}']],
  },
  {
    name: 'stuck roots wait on any number of connections',
    file: 'src/commit/queue.ts',
    change: [['this.#queues.lockWaits < this.#queues.limits.maxLockWaits && ', '']],
  },
  {
    name: 'settled before COMMIT',
    file: 'src/commit/attempt.ts',
    change: [
      [
        'written = await runBatch(tx, this.#batch, this.#lock)\n',
        'written = await runBatch(tx, this.#batch, this.#lock)\n        if (!written.held.length) ' +
          'this.#settle(written)\n',
      ],
    ],
  },
  {
    name: 'journal without its primary key',
    file: 'prisma/migrations/20261122000001_journal/migration.sql',
    change: [
      [
        '  xid        xid8 not null default pg_current_xact_id(),\n  primary key ("rootType", "rootId", version)\n',
        '  xid        xid8 not null default pg_current_xact_id()\n',
      ],
    ],
  },
  {
    name: 'idle connections not validated',
    file: 'src/database/pool.ts',
    change: [['if (since === undefined || ', 'if (since !== null || ']],
  },
  {
    name: 'rows below a root that does not exist yet are taken for new',
    file: 'src/commit/batch.ts',
    change: [['before?.version ? rows : { ...rows, [aggregate.root]: [] }', 'before?.version ? rows : {}']],
  },
  {
    name: 'an answer is replayed without asking whether the actor may',
    file: 'src/commit/batch.ts',
    change: [
      [
        'verb.may(state, input, actor)\n    return this.#replay(request, state) ??',
        'const replayed = this.#replay(request, state)\n    if (!replayed) verb.may(state, input, actor)\n    ' +
          'return replayed ??',
      ],
    ],
  },

  // the way out
  {
    name: 'statements are sent behind ROLLBACK',
    file: 'src/database/transaction.ts',
    change: [['if (this.#isOver) throw', 'if (!this) throw']],
    tests: ['database/transaction'],
  },
  {
    name: 'out: nothing taken away',
    file: 'src/journal/tail.ts',
    change: [],
    tests: [...OUT, 'journal/prune', ...LIVE],
  },
  {
    name: 'out: what was under way is not looked for again',
    file: 'src/journal/news.ts',
    change: [
      [
        'select e.* from pg_snapshot_xip($1::text::pg_snapshot) as x (xid) join "Event" e on e.xid = x.xid\n    ' +
          ') e ${condition}',
        'select * from "Event" where false\n    ) e ${condition}',
      ],
    ],
    tests: OUT,
  },
  {
    name: 'out: a horizon instead of a snapshot',
    file: 'src/journal/position.ts',
    change: [
      [
        '{ ...NEWS, values: [from, page] }',
        "{ ...NEWS, values: [`${from.split(':')[0]}:${from.split(':')[0]}:`, page] }",
      ],
    ],
    tests: OUT,
  },
  {
    name: 'out: only what was rung for is read',
    file: 'src/journal/tail.ts',
    change: [['this.#poll = setInterval(() => this.#wake(), everyMs)', 'this.#poll = setInterval(() => {}, everyMs)']],
    tests: OUT,
  },
  {
    name: 'out: other processes are not woken',
    file: 'src/journal/tail.ts',
    change: [["await ask({ text: 'notify lockstep' })", '']],
    tests: OUT,
  },
  {
    name: 'out: another epoch is not noticed',
    file: 'src/journal/position.ts',
    change: [['if (name !== this.#name) {', 'if (name === null) {']],
    tests: OUT,
  },
  {
    name: 'out: guards come late',
    file: 'src/journal/position.ts',
    change: [['else if (listeners.hasGuards)\n', 'else if (!listeners)\n']],
    tests: [...OUT, ...LIVE],
  },
  {
    name: 'out: read first, attached then',
    file: 'src/journal/follower.ts',
    change: [['      await this.#feed.attached()\n', '      setTimeout(() => void this.#feed.attached(), 20)\n']],
    tests: OUT,
  },
  {
    name: 'out: what was read is told again',
    file: 'src/journal/follower.ts',
    change: [['if (sees(this.#seen, item.event.xid)) return\n', '']],
    tests: OUT,
  },
  {
    name: 'out: an overrun is forgotten',
    file: 'src/journal/follower.ts',
    change: [['} while (this.#overrun)', '} while (false)']],
    tests: OUT,
  },
  {
    name: 'out: a gap is told as if there were none',
    file: 'src/journal/follower.ts',
    change: [['if (item.version !== this.#version + 1)', 'if (item.version === this.#version)']],
    tests: OUT,
  },
  {
    name: 'out: a cursor of another epoch is believed',
    file: 'src/journal/follower.ts',
    change: [['after !== undefined && after.epoch !== epoch', 'false']],
    tests: OUT,
  },
  {
    name: 'out: what was pruned is passed over in silence, of a root',
    file: 'src/journal/catchUp.ts',
    change: [
      [
        "if (events[0] && (events[0].version !== after + 1 || events[0].kind === GENESIS)) return 'CURSOR_EXPIRED'\n",
        '',
      ],
    ],
    tests: ['journal/prune'],
  },
  {
    name: 'out: what was pruned is passed over in silence, of a topic',
    file: 'src/journal/catchUp.ts',
    change: [["if (pruned !== null && pruned >= xmin) return 'CURSOR_EXPIRED'\n", '']],
    tests: ['journal/prune'],
  },
  {
    name: 'out: whoever is rendered for many can be seen',
    file: 'src/live/render.ts',
    change: [['const rendered = looked ? undefined : this.#json(result)', 'const rendered = this.#json(result)']],
    tests: LIVE,
  },
  {
    name: 'out: access is not looked at again',
    file: 'src/live/access.ts',
    change: [
      ['this.#undo.push(this.#options.tail.guard(channel, onDoubt))', 'this.#options.tail.guard(channel, () => {})'],
    ],
    tests: LIVE,
  },
]

const IN = [
  'commit/commit',
  'commit/stuck',
  'commit/outcome',
  'commit/interleavings',
  'database/pool',
  'commit/faults',
  'licensing/syncRecords',
]
const project = fileURLToPath(new URL('..', import.meta.url))
const onlyChecks = process.argv.includes('--check')
const word = process.argv.slice(2).find((argument) => argument !== '--check') ?? ''
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-mutants-'))
process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }))
const original = path.join(folder, 'original') // as it is now, though somebody may be at work on it
const copied = [
  'src',
  'test',
  'prisma',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'vitest.config.ts',
  'schema.graphql',
]
for (const each of copied) fs.cpSync(path.join(project, each), path.join(original, each), { recursive: true })
let missed = 0

for (const { name, file, change, tests = IN } of mutants.filter(({ name }) => name.includes(word))) {
  const copy = path.join(folder, 'mutant')
  fs.cpSync(original, copy, { recursive: true })
  fs.symlinkSync(path.join(project, 'node_modules'), path.join(copy, 'node_modules'))
  const place = path.join(copy, file)
  let text = fs.readFileSync(place, 'utf8')
  for (const [from, to] of change) {
    const places = [...text.matchAll(anyLayout(from))]
    if (places.length !== 1)
      throw new Error(
        `${name}: this stands ${places.length} times in ${file}, and once is wanted. Write the mutant anew: ${from}`,
      )
    text = text.replace(places[0]![0], () => to)
  }
  fs.writeFileSync(place, text)
  if (onlyChecks) {
    fs.rmSync(copy, { recursive: true })
    continue
  }

  const began = performance.now()
  const { stdout } = spawnSync(
    process.execPath,
    [
      'node_modules/vitest/vitest.mjs',
      'run',
      '--bail=3',
      '--testTimeout=12000',
      '--reporter=json',
      ...tests.map((test) => `test/${test}.test.ts`),
    ],
    { cwd: copy, encoding: 'utf8', timeout: 180_000, killSignal: 'SIGINT', maxBuffer: 1e9 },
  )
  const start = stdout.indexOf('{"numTotalTestSuites"')
  const report = (start < 0 ? undefined : JSON.parse(stdout.slice(start))) as
    | { testResults: { name: string; message: string; assertionResults: { status: string; fullName: string }[] }[] }
    | undefined
  const noticed = report?.testResults.flatMap(({ name, message, assertionResults }) => {
    const failed = assertionResults
      .filter(({ status }) => status === 'failed')
      .map(({ fullName }) => `${path.basename(name)}: ${fullName}`)
    return failed.length || !message ? failed : [`${path.basename(name)}: ${message.split('\n')[0]}`]
  })
  const isRight = change.length > 0 === (noticed?.length !== 0)
  if (!isRight) missed++
  console.log(
    `${isRight ? '  ' : '! '}${noticed === undefined ? 'hung   ' : noticed.length ? 'noticed' : 'passes '} ` +
      `${name} (${Math.round((performance.now() - began) / 1_000)} ` +
      `s)${(noticed ?? []).map((test) => `\n          ${test}`).join('')}`,
  )
  fs.rmSync(copy, { recursive: true, force: true })
}
process.exitCode = missed ? 1 : 0

/** Finds code however it is broken into lines. */
function anyLayout(code: string): RegExp {
  const words = code.trim().split(/\s+/)
  return new RegExp(words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('\\s+'), 'g')
}
