import { defineConfig } from 'prisma/config'

// `prisma generate` never runs the schema engine, but downloads it if its file does not exist. For that command alone it
// is pointed at a file that does: `prisma migrate …` must still fetch the real engine.
if (process.argv.includes('generate')) process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= process.execPath

export default defineConfig({
  schema: 'prisma/schema',
  migrations: { path: 'prisma/migrations' },
  datasource: { url: process.env.DATABASE_URL ?? 'postgresql://lockstep@127.0.0.1:5432/lockstep' },
})
