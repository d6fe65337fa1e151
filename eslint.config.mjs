// Lints schema.graphql, and nothing else: Biome lints the code. docs/schema.md explains the exceptions.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import graphqlEslint from '@graphql-eslint/eslint-plugin'
import { buildSchema } from 'graphql'

const file = fileURLToPath(new URL('schema.graphql', import.meta.url))
const schema = buildSchema(readFileSync(file, 'utf8'))
const domainErrors = schema.getPossibleTypes(schema.getType('DomainError')).map(({ name }) => name)

export default [
  {
    files: ['schema.graphql'],
    languageOptions: {
      parser: graphqlEslint.parser,
      parserOptions: { graphQLConfig: { schema: file } },
    },
    plugins: { '@graphql-eslint': graphqlEslint },
    rules: {
      ...graphqlEslint.configs['flat/schema-recommended'].rules,
      ...graphqlEslint.configs['flat/schema-relay'].rules,

      // Every type has an `id`, but for answers, items of streams, pages, errors and values.
      '@graphql-eslint/strict-id-in-types': [
        'error',
        {
          exceptions: {
            suffixes: ['Payload', 'Snapshot', 'Change', 'Connection', 'Edge'],
            types: [
              ...domainErrors,
              'Consistency',
              'LessonProgressVersion',
              'LicenseVersion',
              'PageInfo',
              'PlanDay',
              'SelectionVersion',
              'SubscriberTooSlow',
              'UpdateLevelsSummary',
              'WorkoutVersion',
            ],
          },
        },
      ],

      '@graphql-eslint/relay-edge-types': [
        'error',
        {
          // A list that is short by its nature is a plain list.
          listTypeCanWrapOnlyEdgeType: false,
          // Records out of sync are listed in pages too, and have no `node`.
          shouldImplementNode: false,
        },
      ],
    },
  },
]
