import { execFileSync, spawnSync } from 'node:child_process'
import { errorCode } from '../operator/errorCode.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'

/** The user and group that PostgreSQL runs as. */
export interface SystemAccount {
  readonly uid: number
  readonly gid: number
}

const isRoot = () => process.getuid?.() === 0

/**
 * PostgreSQL refuses to run as root. Started by root, it runs as the owner of the data folder if that exists, otherwise
 * as the user `postgres`, which is created if absent. Undefined if this process is not root's: it runs as the same
 * user.
 */
export function systemAccount(owner?: SystemAccount): SystemAccount | undefined {
  if (!isRoot()) return undefined
  if (owner && owner.uid !== 0) return owner
  const known = find()
  if (known) return known
  try {
    create()
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error)
    throw new OperatorError(
      'PostgreSQL refuses to run as root, and the user postgres, as whom it would run, could not be created ' +
        `(${reason}). Start Lockstep as another user, or create that one: useradd --system postgres.`,
      exitCode.permission,
    )
  }
  return find()
}

function find(): SystemAccount | undefined {
  const id = (which: string) =>
    execFileSync('id', [which, 'postgres'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  try {
    return { uid: Number(id('-u')), gid: Number(id('-g')) }
  } catch {
    return undefined
  }
}

function create() {
  const run = (command: string, ...parameters: string[]) =>
    execFileSync(command, parameters, { stdio: ['ignore', 'ignore', 'pipe'] })
  try {
    run(
      'useradd',
      '--system',
      '--user-group',
      '--no-create-home',
      '--home-dir',
      '/nonexistent',
      '--shell',
      '/usr/sbin/nologin',
      'postgres',
    )
  } catch (error) {
    if (find()) return // another process was first
    if (errorCode(error) !== 'ENOENT') throw error
    run('adduser', '-S', '-D', '-H', '-s', '/sbin/nologin', 'postgres') // Alpine's
  }
}

/**
 * Whether the account can enter all of these folders. It is tried, since ownership, modes, ACLs and mounts all matter.
 */
export function canEnter(account: SystemAccount | undefined, ...folders: string[]): boolean {
  if (!account) return true
  const script = 'for folder; do test -x "$folder" || exit 1; done'
  return spawnSync('/bin/sh', ['-c', script, 'sh', ...folders], { ...account, cwd: '/', stdio: 'ignore' }).status === 0
}
