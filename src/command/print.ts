/** What a command answers goes to standard output; what it reports meanwhile, to standard error. */
export const print = (text: string) => void process.stdout.write(`${text}\n`)

/** What a person should know while a command works, which is no part of its answer. */
export const complain = (message: string) => void process.stderr.write(`${message}\n`)

/** Where the embedded database tells of itself while a command works: only what somebody should know. */
export const quietLog = { info: () => {}, warn: complain, error: complain }

/** For programs that read the answer. */
export const printJson = (value: unknown) => print(JSON.stringify(value))

/** Words in columns, for people. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, at) => Math.max(...rows.map((row) => row[at]!.length))) ?? []
  return rows.map((row) => row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at]!))).join('  ')).join('\n')
}
