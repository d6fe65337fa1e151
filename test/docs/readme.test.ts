import { expect, test } from 'vitest'
import { settingsTable } from '../../src/operator/settings.ts'
import { blocks, textOf } from './markdown.ts'

const readme = textOf('README.md')

test('the README has at most 150 lines', () => {
  expect(readme.trimEnd().split('\n').length).toBeLessThanOrEqual(150)
})

test('its two commands are those that .ci/run runs', () => {
  const commands = blocks(readme)[0]!
    .code.trim()
    .split('\n')
    .map((line) => line.replace(/ +#.*/, ''))
  expect(commands).toEqual(['npm ci && npm start', 'npm ci && npm test'])
  const run = textOf('.ci/run')
  for (const command of [/^step install npm ci\b/m, /\bnpm start\b/, /^ +npm test\b/m]) expect(run).toMatch(command)
})

test('its client is the one in examples', () => {
  const client = blocks(readme).find(({ comment }) => comment === 'the same as examples/resume.mjs')
  expect(client?.code).toBe(textOf('examples/resume.mjs'))
})

test('docs/operations.md has the table of settings as it is printed', () => {
  const [, table] = textOf('docs/operations.md').split('<!-- printed by: npm run lockstep -- config --table -->\n')
  expect(table?.split('\n\n', 1)[0]).toBe(settingsTable())
})
