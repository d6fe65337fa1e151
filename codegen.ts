import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { generate } from '@graphql-codegen/cli'
import { preset } from '@graphql-codegen/client-preset'
import { lexicographicSortSchema, printSchema } from 'graphql'
import { toSchema } from './src/server/schema.ts'

// `npm run generate` prints schema.graphql, which is committed and reviewed, and types the documents of the tests, each
// written as graphql(`…`) with backticks, into test/generated/, which is not committed. Those of Relay, written as
// graphql`…`, go through Relay's own compiler. With --check it only says whether schema.graphql is what src/ amounts to.

const file = new URL('schema.graphql', import.meta.url)
const printed = `${printSchema(lexicographicSortSchema(toSchema()))}\n`

if (process.argv.includes('--check')) {
  const committed = await readFile(file, 'utf8').catch(() => '')
  if (committed !== printed) {
    const [before, after] = [committed.split('\n'), printed.split('\n')]
    const line = after.findIndex((text, index) => text !== before[index]) + 1 || after.length + 1
    console.error(
      `schema.graphql is not what src/ says, from line ${line} on. Run \`npm run generate\` and commit schema.graphql.`,
    )
    process.exit(1)
  }
} else {
  await writeFile(file, printed)
  await generate(
    {
      cwd: import.meta.dirname,
      schema: printed,
      documents: ['test/**/*.ts', '!test/generated/**', '!test/clients/relay.documents.ts'],
      ignoreNoDocuments: true,
      silent: true,
      generates: {
        'test/generated/': {
          preset,
          presetConfig: { fragmentMasking: false, skipIndexFile: true },
          config: {
            importExtension: '.ts',
            useTypeImports: true,
            enumType: 'string-literal',
            scalars: { ID: 'string', DateTime: 'string', LocalDate: 'string' },
            defaultScalarType: 'unknown',
          },
        },
      },
    },
    true,
  )
  await mkdir(new URL('test/generated/relay', import.meta.url), { recursive: true }) // where relay.config.json wants it
  const relayCompiler = createRequire(import.meta.url)('relay-compiler') as string // the path of its program
  const options = ['--noWatchman', '--output', 'quiet-with-errors']
  execFileSync(relayCompiler, options, { cwd: import.meta.dirname, stdio: 'inherit' })
}
