import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { generate } from '@graphql-codegen/cli'
import { preset } from '@graphql-codegen/client-preset'
import {
  type GraphQLSchema,
  isAbstractType,
  isScalarType,
  isSpecifiedScalarType,
  lexicographicSortSchema,
  printSchema,
} from 'graphql'
import { toSchema } from './src/server/schema.ts'

// `npm run generate` prints schema.graphql and what clients need of it, possibleTypes.json and scalars.json, which are
// committed and reviewed. It types the documents of the tests, each written as graphql(`…`) with backticks, into
// test/generated/, which is not committed. Those of Relay, written as graphql`…`, go through Relay's own compiler. With
// --check it only says whether the committed files are what src/ amounts to.

/** What each scalar of ours is in JSON, and what that is in TypeScript. */
const scalars: Record<string, { readonly json: string; readonly typescript: string; readonly specifiedBy?: string }> = {
  Cursor: { json: 'string', typescript: 'string' },
  DateTime: { json: 'string', typescript: 'string', specifiedBy: 'https://www.rfc-editor.org/rfc/rfc3339#section-5.6' },
  LocalDate: {
    json: 'string',
    typescript: 'string',
    specifiedBy: 'https://www.rfc-editor.org/rfc/rfc3339#section-5.6',
  },
}

const schema = lexicographicSortSchema(toSchema())
const schemaText = `${printSchema(schema)}\n`
const published = {
  'schema.graphql': schemaText,
  'possibleTypes.json': json(possibleTypesOf(schema)),
  'scalars.json': json(scalarsOf(schema)),
}

/** The object types of each interface and union, as normalized caches want them. */
function possibleTypesOf(schema: GraphQLSchema) {
  const abstract = Object.values(schema.getTypeMap()).filter(isAbstractType)
  return Object.fromEntries(abstract.map((type) => [type.name, schema.getPossibleTypes(type).map(({ name }) => name)]))
}

function scalarsOf(schema: GraphQLSchema) {
  const own = Object.values(schema.getTypeMap()).filter((type) => isScalarType(type) && !isSpecifiedScalarType(type))
  return Object.fromEntries(
    own.map(({ name, description }) => {
      if (!scalars[name]) throw new Error(`codegen.ts does not say what the scalar ${name} is in JSON.`)
      return [name, { ...scalars[name], description }]
    }),
  )
}

function json(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

for (const [name, text] of Object.entries(published)) {
  const file = new URL(name, import.meta.url)
  if (process.argv.includes('--check')) check(name, await readFile(file, 'utf8').catch(() => ''), text)
  else await writeFile(file, text)
}

function check(name: string, committed: string, printed: string): void {
  if (committed === printed) return
  const [before, after] = [committed.split('\n'), printed.split('\n')]
  const line = after.findIndex((text, index) => text !== before[index]) + 1 || after.length + 1
  console.error(`${name} is not what src/ says, from line ${line} on. Run \`npm run generate\` and commit ${name}.`)
  process.exitCode = 1
}

if (!process.argv.includes('--check')) {
  await generate(
    {
      cwd: import.meta.dirname,
      schema: schemaText,
      documents: ['test/**/*.ts', '!test/generated/**', '!test/clients/relay/relay.documents.ts'],
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
