import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** A folder in prisma/migrations, as `prisma migrate` makes it, with a script that undoes the migration. */
export interface Migration {
  /** The folder's name: `<time>_<what>`. */
  readonly name: string
  /** The SQL that applies it. */
  readonly up: string
  /** The SQL that undoes it; undefined: it cannot be undone. */
  readonly down: string | undefined
}

/** Both src/database and dist/database are two levels below the package's root. */
export const migrationFolder = fileURLToPath(new URL('../../prisma/migrations', import.meta.url))

/** All migrations, in the order in which they are applied. */
export async function readMigrations(folder = migrationFolder): Promise<Migration[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  const names = entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
  return Promise.all(
    names.map(async (name) => {
      const undo = path.join(folder, name, 'down.sql')
      return {
        name,
        up: await readFile(path.join(folder, name, 'migration.sql'), 'utf8'),
        down: existsSync(undo) ? await readFile(undo, 'utf8') : undefined,
      }
    }),
  )
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** The checksum that Prisma records. */
export const checksum = ({ up }: Migration) => sha256(up)

/** Whether a recorded checksum is of this migration. Like Prisma, allows for line ends that git has changed. */
export const matches = ({ up }: Migration, recorded: string) =>
  [up, up.replaceAll('\r\n', '\n'), up.replaceAll('\n', '\r\n')].some((text) => sha256(text) === recorded)
