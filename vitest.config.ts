import { defineConfig } from 'vitest/config'
import { LongestFirst } from './test/longestFirst.ts'

export default defineConfig({
  // as Node resolves it: there must be only one
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/template.ts', 'test/build.ts'],
    // each file in a process of its own, with a database of its own
    pool: 'forks',
    // two files at once even where there are more cores: races are tested by racing, and need the cores themselves
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
