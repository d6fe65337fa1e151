import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import path from 'node:path'
import { errorCode } from '../operator/errorCode.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { removeAbandoned, temporaryName } from './temporaryName.ts'
import { explained, isDiskFull } from './folderError.ts'
import { environment, findPrograms, majorVersion, type Programs } from './programs.ts'
import { canEnter, type SystemAccount, systemAccount } from './systemAccount.ts'

/** A data folder of PostgreSQL that can be used: it exists, is complete and of the right version. */
export interface DataFolder {
  /** Its real path, without symbolic links. */
  readonly path: string
  readonly password: string
  readonly programs: Programs
  readonly account: SystemAccount | undefined
}

/** For what the user postgres must reach, and cannot where it would otherwise be. */
const systemFolder = '/var/lib/lockstep'
const passwordFile = 'lockstep.password'

/**
 * Makes PostgreSQL's data folder if it is missing, and checks it. It is `postgres` in the data folder. If root runs
 * this program and the user postgres can't enter the data folder (below /root, or a home of mode 0700), it is made
 * below /var/lib/lockstep instead, under a random name, and `postgres` is a symbolic link to it. The name is random so
 * that old data are never found again by the path of a data folder that was deleted.
 *
 * Several processes may do so at once, without a lock: each makes its own under a temporary name and renames it, which
 * succeeds for one of them. The others remove theirs and use that one.
 */
export async function prepareDataFolder(folder: string, { fast }: { fast: boolean }): Promise<DataFolder> {
  const base = path.resolve(folder)
  const place = path.join(base, 'postgres')
  try {
    await mkdir(base, { recursive: true })
    if (await isVacant(place)) await create(base, place, fast)
    return await open(base, place)
  } catch (error) {
    throw explained(error, base)
  }
}

async function isVacant(place: string): Promise<boolean> {
  const found = await lstat(place).catch(() => undefined)
  if (!found) return true
  return found.isDirectory() && (await readdir(place)).length === 0
}

async function open(base: string, place: string): Promise<DataFolder> {
  const real = await realpath(place).catch(() => undefined)
  if (!real) {
    const sentence =
      `${place} leads to a folder that is not there. Bring it back, or remove the link to begin with an empty ` +
      'database.'
    throw new OperatorError(sentence, exitCode.data)
  }
  const owner = await stat(real)
  const me = process.getuid?.()
  if (me !== undefined && me !== 0 && owner.uid !== me) {
    throw new OperatorError(
      `${real} belongs to another user (uid ${owner.uid}; this is uid ${me}). Start Lockstep as that user or ` +
        'as root, or set LOCKSTEP_DATA to another folder.',
      exitCode.permission,
    )
  }
  await expectVersion(real)
  const password = (await readFile(path.join(real, passwordFile), 'utf8').catch(() => undefined))?.trim()
  if (!password) {
    throw new OperatorError(
      `${real} was not made by Lockstep: it has no readable file ${passwordFile}. Set LOCKSTEP_DATA to ` +
        'another folder, or DATABASE_URL to the PostgreSQL that it belongs to.',
      exitCode.data,
    )
  }
  const account = systemAccount(owner)
  // copied by root, say
  if (account && owner.uid === 0) execFileSync('chown', ['-R', `${account.uid}:${account.gid}`, real])
  if (!canEnter(account, real)) {
    throw new OperatorError(
      `The user postgres (uid ${account?.uid}), as whom PostgreSQL runs when root starts it, cannot enter ` +
        `${real}. Let it: chmod o+x on the folders above.`,
      exitCode.permission,
    )
  }
  return { path: real, password, account, programs: await programsFor(account, base) }
}

/** Throws unless PostgreSQL's folder is of the version that comes with this program. */
async function expectVersion(real: string): Promise<void> {
  const version = (await readFile(path.join(real, 'PG_VERSION'), 'utf8').catch(() => undefined))?.trim()
  if (version === undefined) {
    throw new OperatorError(
      `${real} is not a data folder of PostgreSQL: it has no file PG_VERSION. Set LOCKSTEP_DATA to another ` +
        'folder, or move that one out of the way.',
      exitCode.data,
    )
  }
  if (version !== majorVersion) {
    throw new OperatorError(
      `${real} is a data folder of PostgreSQL ${version}, and this version of Lockstep comes with PostgreSQL ` +
        `${majorVersion}. ` +
        `Set LOCKSTEP_DATA to another folder, or run it with a PostgreSQL ${version} of your own and set ` +
        'DATABASE_URL to that.',
      exitCode.data,
    )
  }
}

const programsFor = (account: SystemAccount | undefined, base: string) =>
  findPrograms(account, account ? systemFolder : base)

async function create(base: string, place: string, fast: boolean) {
  const account = systemAccount()
  const programs = await programsFor(account, base)
  await removeAbandoned(base)
  const inPlace = canEnter(account, base)
  const mine = inPlace ? temporaryName(place) : path.join(systemFolder, randomBytes(6).toString('hex'))
  try {
    await mkdir(path.dirname(mine), { recursive: true, mode: 0o755 })
    await initialize(mine, programs, account, fast)
    if (inPlace) await rename(mine, place)
    else await symlink(mine, place)
  } catch (error) {
    await rm(mine, { recursive: true, force: true })
    const code = errorCode(error)
    if (code !== 'EEXIST' && code !== 'ENOTEMPTY') throw error // otherwise another process was first
  }
}

async function initialize(folder: string, programs: Programs, account: SystemAccount | undefined, fast: boolean) {
  await mkdir(folder, { mode: 0o700 })
  const secret = `${folder}.password` // initdb wants its folder empty
  try {
    await writeFile(secret, `${randomBytes(24).toString('hex')}\n`, { mode: 0o600, flag: 'wx', flush: !fast })
    if (account) for (const name of [folder, secret]) await chown(name, account.uid, account.gid)
    // PostgreSQL's own locale: the same order of text on every system, whatever its C library
    const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
    const access = ['--username=postgres', '--auth=scram-sha-256', `--pwfile=${secret}`]
    await run(
      programs.initdb,
      [`--pgdata=${folder}`, ...access, ...locale, '--no-instructions', ...(fast ? ['--no-sync'] : [])],
      account,
    )
    await rename(secret, path.join(folder, passwordFile))
  } finally {
    await rm(secret, { force: true })
  }
}

/** Detached, so that a Ctrl-C in the terminal reaches this program only, and initdb is not killed half-way. */
async function run(program: string, parameters: string[], account: SystemAccount | undefined) {
  const child = spawn(program, parameters, {
    ...account,
    cwd: '/',
    env: environment,
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code === 0) return
  if (isDiskFull(said)) throw new Error(said)
  throw new OperatorError(
    `A new data folder could not be made: ${path.basename(program)} said: ${said.trim().replaceAll(/\s*\n\s*/g, ' ')}`,
    exitCode.system,
  )
}
