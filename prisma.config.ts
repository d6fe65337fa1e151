import { defineConfig } from 'prisma/config'

// `prisma generate` never runs the schema engine but insists that the file exists, and would download it. Only then is
// it pointed at a file that is there: `prisma migrate …`, for those who prefer it to ours, must still fetch the real
// one.
if (process.argv.includes('generate')) process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= process.execPath

export default defineConfig({
  schema: 'prisma/schema',
  migrations: { path: 'prisma/migrations' },
  datasource: { url: process.env.DATABASE_URL ?? 'postgresql://lockstep@127.0.0.1:5432/lockstep' },
})
