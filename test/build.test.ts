import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeEach, expect, test } from 'vitest'

const project = path.join(import.meta.dirname, '..')
const scratch = mkdtempSync(path.join(os.tmpdir(), 'lockstep-build-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

let count = 0
let folder = ''
const at = (name: string) => path.join(folder, name)
function write(name: string, text: string) {
  mkdirSync(path.dirname(at(name)), { recursive: true })
  writeFileSync(at(name), text)
}

/** A project of three files, whose Prisma only counts how often it was called. */
beforeEach(() => {
  folder = path.join(scratch, String(++count))
  mkdirSync(at('node_modules'), { recursive: true })
  symlinkSync(path.join(project, 'node_modules/typescript'), at('node_modules/typescript'))
  for (const name of ['scripts', 'tsconfig.json', 'tsconfig.build.json'])
    cpSync(path.join(project, name), at(name), { recursive: true })
  write('tsconfig.json', readFileSync(at('tsconfig.json'), 'utf8').replace('"types": ["node"]', '"types": []'))
  write('package.json', '{ "type": "module" }')
  write('prisma.config.ts', '')
  write('prisma/schema/a.prisma', '')
  write('prisma/schema/b.prisma', '')
  const generate = `fs.mkdirSync('src/generated/prisma', { recursive: true })
    fs.appendFileSync('src/generated/prisma/client.ts', 'export const generated = true\\n'.replace('generated', 'g' +
    process.hrtime.bigint()))`
  write('node_modules/prisma/build/index.js', `const fs = require('node:fs'); ${generate}`)
  write('src/main.ts', `import { one } from './room/one.ts'\nexport const two: number = one + 1\n`)
  write('src/room/one.ts', 'export const one = 1\n')
})

function build() {
  const { status, stderr } = spawnSync(process.execPath, [at('scripts/build.mjs')], { encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
}
/** Whether a build writes dist again. */
function builds(): boolean {
  utimesSync(at('dist/main.js'), 1, 1)
  build()
  return statSync(at('dist/main.js')).mtimeMs > 1_000
}
const generations = () => readFileSync(at('src/generated/prisma/client.ts'), 'utf8').split('\n').length - 1

test('what was built is not built again, until one of its sources or settings has changed', () => {
  build()
  expect(readFileSync(at('dist/main.js'), 'utf8')).toContain("import { one } from './room/one.js'")
  expect(builds()).toBe(false)
  for (const name of ['src/room/one.ts', 'package.json', 'tsconfig.json', 'tsconfig.build.json']) {
    write(name, `${readFileSync(at(name), 'utf8')}\n`)
    expect(builds(), name).toBe(true)
    expect(builds(), name).toBe(false)
  }
  expect(generations()).toBe(1)
})

test('what was built from a file that was removed is removed', () => {
  write('src/room/three.ts', 'export const three = 3\n')
  build()
  expect(existsSync(at('dist/room/three.js'))).toBe(true)
  rmSync(at('src/room/three.ts'))
  expect(builds()).toBe(true)
  expect(existsSync(at('dist/room/three.js'))).toBe(false)
  expect(existsSync(at('dist/room/three.js.map'))).toBe(false)
  expect(existsSync(at('dist/room/one.js.map'))).toBe(true)
})

test.each<[string, () => void]>([
  ['changed', () => write('prisma/schema/a.prisma', '// more')],
  ['added', () => write('prisma/schema/c.prisma', '')],
  ['removed', () => rmSync(at('prisma/schema/b.prisma'))],
  ['configured otherwise', () => write('prisma.config.ts', '// more')],
])('a Prisma schema that was %s is generated again, and then dist built', (_, change) => {
  build()
  expect(builds()).toBe(false)
  change()
  expect(builds()).toBe(true)
  expect(generations()).toBe(2)
  expect(builds()).toBe(false)
  expect(generations()).toBe(2)
})

test('a build that failed is done again', () => {
  build()
  write('src/room/one.ts', 'export const one = \n')
  expect(spawnSync(process.execPath, [at('scripts/build.mjs')], { encoding: 'utf8' }).status).not.toBe(0)
  write('src/room/one.ts', 'export const one = 1\n')
  expect(builds()).toBe(true)
})
