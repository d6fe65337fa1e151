import { readdirSync, readFileSync } from 'node:fs'
import { basename, join, posix } from 'node:path'
import { describe, expect, test } from 'vitest'

/** The files that may open a transaction: the one that asks Prisma for it, and the only one that calls that. */
const transactions = ['src/database/transaction.ts', 'src/commit/attempt.ts']

/**
 * The rooms of src/ that are no modules, and which other rooms each may import. `modules` stands for every module and
 * for modules.ts, which lists them.
 */
const rooms: Record<string, readonly string[]> = {
  main: ['command', 'operator'],
  command: ['demo', 'server', 'modules', 'api', 'journal', 'commit', 'embedded', 'database', 'operator'],
  demo: ['modules', 'api', 'commit', 'database', 'operator'],
  server: ['graphiql', 'modules', 'live', 'api', 'journal', 'commit', 'database', 'operator'],
  graphiql: ['modules', 'api'],
  modules: ['modules', 'api', 'journal', 'commit', 'database', 'operator'],
  live: ['api', 'journal', 'commit', 'operator'],
  api: ['journal', 'commit', 'database', 'operator'],
  journal: ['commit', 'database', 'operator'],
  commit: ['database', 'operator'],
  embedded: ['operator'],
  database: ['operator'],
  operator: [],
}

interface Import {
  readonly path: string
  /** Erased when compiled: it is no part of a cycle. */
  readonly erased: boolean
}

interface Source {
  readonly path: string
  readonly lines: readonly string[]
  /** Without comments. */
  readonly code: string
  /** Its room: the folder under src/, `modules` for that of a module, the file's own name for those in src/ itself. */
  readonly room: string
  readonly module: string | undefined
  readonly verb: boolean
  readonly imports: readonly Import[]
}

const root = join(import.meta.dirname, '..')
const paths = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .map((path) => `src/${path.replaceAll('\\', '/')}`)
  .filter((path) => /\.(tsx?|js)$/.test(path) && !/^src\/(generated|dashboard)\//.test(path))
  .sort()
const sources = new Map(paths.map((path) => [path, source(path)]))

function source(path: string): Source {
  const text = readFileSync(join(root, path), 'utf8')
  const code = text.replace(
    /('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (_, literal?: string) => literal ?? '',
  )
  const [, place = ''] = path.split('/')
  const name = basename(path, '.ts')
  const module = path.split('/').length > 2 && !(place in rooms) ? place : undefined
  const room = module !== undefined ? 'modules' : basename(place, '.ts')
  const verb = module !== undefined && new RegExp(`export const ${name}\\b`).test(code) && /\bdecide\s*[(:]/.test(code)
  return { path, lines: text.split('\n'), code, room, module, verb, imports: imports(path, code) }
}

function imports(path: string, code: string): Import[] {
  const found = [
    ...code.matchAll(
      /\b(?:import|export)\s+(type\s)?(?:[^'"`;]*?\sfrom\s+)?['"](\.[^'"\n]+)['"]|\bimport\(\s*['"](\.[^'"\n]+)['"]/g,
    ),
  ]
  return found.map(([, type, fixed, dynamic]) => ({
    path: posix.join(posix.dirname(path), (fixed ?? dynamic)!),
    erased: type !== undefined || fixed === undefined,
  }))
}

interface Block {
  readonly path: string
  /** The line in which it begins. */
  readonly at: number
  readonly kind: 'function' | 'class'
  /** From the line in which it begins to the one in which it ends. */
  readonly lines: number
}

/**
 * The functions and classes of a file, by the layout that the formatter gives them: a brace that closes one is indented
 * as its beginning. Biome has a rule for functions, which leaves closing braces out of its count.
 */
function blocksOf({ path, lines }: Source): Block[] {
  return lines.flatMap((line, end) => {
    if (!/^ *\}/.test(line) || line.endsWith('{')) return []
    const indent = line.search(/\S/)
    // what begins with a bracket goes on with what began above: a signature of several lines, an else
    const isBeginning = (text: string) => text.search(/\S/) === indent && !/^ *[})\]|?:&+]/.test(text)
    const begin = lines.slice(0, end).findLastIndex(isBeginning)
    const kind = kindOf(lines[begin] ?? '')
    return kind ? [{ path, at: begin + 1, kind, lines: end - begin + 1 }] : []
  })
}

function kindOf(beginning: string): Block['kind'] | undefined {
  if (/^ *(export )?(abstract )?class /.test(beginning)) return 'class'
  if (/^ *(if|for|while|switch|do|try)\b/.test(beginning)) return undefined
  const method = /^ *((async|static|get|set|override) )*#?\w+(<[^()]*>)?\((.*\{|[^()]*)$/
  return /\bfunction\b|=> \(?\{$/.test(beginning) || method.test(beginning) ? 'function' : undefined
}

/** Each import of src/ by src/ that breaks the rule, as a sentence. */
function broken(rule: (from: Source, to: Source) => boolean): string[] {
  return [...sources.values()].flatMap((from) =>
    from.imports.flatMap(({ path }) => {
      const to = sources.get(path)
      return to && rule(from, to) ? [`${from.path} imports ${to.path}`] : []
    }),
  )
}

/** Each place in these files where what isn't meant to be there is there. */
function occurrences(among: readonly Source[], pattern: RegExp): string[] {
  return among.flatMap(({ path, code }) => [...code.matchAll(pattern)].map(([text]) => `${path}: ${text.trim()}`))
}

const files = [...sources.values()]
const blocks = files.flatMap(blocksOf)
const verbs = files.filter(({ verb }) => verb)

describe('the arrows', () => {
  test('each file stands in a room', () => {
    expect([...new Set(files.map(({ room }) => room))].filter((room) => !(room in rooms))).toEqual([])
  })

  test.each(Object.entries(rooms))('%s imports only %j', (room, allowed) => {
    expect(broken((from, to) => from.room === room && to.room !== room && !allowed.includes(to.room))).toEqual([])
  })

  test("a module imports no verb of another module's", () => {
    expect(broken((from, to) => from.module !== undefined && to.verb && from.module !== to.module)).toEqual([])
  })

  test('nobody but modules.ts imports what a module has', () => {
    expect(
      broken((from, to) => to.room === 'modules' && /\/module\.ts$/.test(to.path) && from.path !== 'src/modules.ts'),
    ).toEqual([])
  })

  test('there are no import cycles', () => {
    const state = new Map<string, 'open' | 'done'>()
    const cycles: string[] = []
    const visit = (path: string, trail: readonly string[]): void => {
      if (state.get(path) === 'open') cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '))
      if (state.has(path)) return
      state.set(path, 'open')
      for (const next of sources.get(path)?.imports ?? []) if (!next.erased) visit(next.path, [...trail, path])
      state.set(path, 'done')
    }
    for (const path of paths) visit(path, [])
    expect(cycles).toEqual([])
  })
})

describe('the files', () => {
  test('say by their names what is in them', () => {
    const vague =
      /^(utils?|helpers?|commons?|shared|libs?|types?|constants?|misc|index)$|(service|repository|controller|manager)s?$/i
    expect(
      paths.flatMap((path) =>
        path
          .split('/')
          .slice(1)
          .filter((part) => vague.test(part.replace(/\.(tsx?|js)$/, '')))
          .map((part) => `${path}: ${part}`),
      ),
    ).toEqual([])
  })

  test('lie in a room, but for main.ts and modules.ts', () => {
    const loose = paths.filter((path) => path.split('/').length === 2)
    expect(loose.filter((path) => !['src/main.ts', 'src/modules.ts'].includes(path))).toEqual([])
  })

  test('have no function of more than 50 lines and no class of more than 150', () => {
    const most = { function: 50, class: 150 }
    const long = blocks.filter(({ kind, lines }) => lines > most[kind])
    expect(long.map(({ path, at, lines }) => `${path}:${at} has ${lines} lines`)).toEqual([])
  })

  test('have lines of 120 columns, as those of tests, benches and scripts', () => {
    const own = ['src', 'test', 'bench', 'scripts'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path)),
    )
    const read = own.filter((path) => /\.[jt]s$/.test(path) && !/\bgenerated\b/.test(path))
    // a regular expression can't be broken into lines
    const isLong = (line: string) => line.length > 120 && !/^ *\/(?!\*).*\/[a-z]*[,)]*$/.test(line)
    const long = read.flatMap((path) =>
      readFileSync(join(root, path), 'utf8')
        .split('\n')
        .flatMap((line, at) => (isLong(line) ? [`${path}:${at + 1}`] : [])),
    )
    expect(long).toEqual([])
  })

  test('open transactions in one place only', () => {
    expect(
      occurrences(
        files.filter(({ path }) => !transactions.includes(path)),
        /\$transaction\b|import \{[^}]*\binTransaction\b[^}]*\} from '[^']*\/transaction\.ts'/g,
      ),
    ).toEqual([])
  })
})

describe('a verb', () => {
  const never: Record<string, RegExp> = {
    'has no SQL':
      /\bsql\s*[`(<]|\$(query|execute)Raw\w*|`\s*(select\b[^`]*\bfrom|insert\s+into|update\b[^`]*\bset|delete\s+from)\s/gi,
    'catches nothing': /\btry\s*\{|\bcatch\s*[({]/g,
    'has no clock': /\bnew Date\b|\bDate\s*[.(]|\bperformance\.now\b/g,
    'waits for no time': /\bset(Timeout|Interval|Immediate)\b|\bsleep\(|node:timers/g,
    'rolls no dice': /\bMath\.random\b|\brandom(UUID|Bytes|Int)\b/g,
    'writes no log': /\bconsole\.|\blog(ger)?\.(trace|debug|info|warn|error|fatal)\b|from 'pino'/g,
  }

  test.each(Object.entries(never))('%s', (_, pattern) => {
    expect(occurrences(verbs, pattern)).toEqual([])
  })
})

test('the rules above look at something', () => {
  expect(verbs.length).toBeGreaterThan(0)
  expect(blocks.filter(({ kind }) => kind === 'class').length).toBeGreaterThan(0)
  expect(blocks.filter(({ lines }) => lines > 40).length).toBeGreaterThan(0)
  expect(files.flatMap(({ imports }) => imports).length).toBeGreaterThan(0)
})
