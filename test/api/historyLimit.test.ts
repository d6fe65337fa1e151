import { expect, test } from 'vitest'
import { inTurn } from '../../src/api/historyLimit.ts'
import { outcome } from '../world.ts'

/** Work that ends when it is told to. */
function works() {
  const began: string[] = []
  const ends = new Map<string, () => void>()
  const begin = (turn: string, name: string) =>
    outcome(
      inTurn({ turn }, () => {
        began.push(name)
        return new Promise<string>((resolve) => ends.set(name, () => resolve(name)))
      }),
    )
  return { began, begin, end: (name: string) => ends.get(name)!() }
}

test('two fold at a time, of two viewers; the others follow in turn', async () => {
  const { began, begin, end } = works()
  const all = (['a1', 'a2', 'b1', 'c1', 'b2'] as const).map((name) => begin(name[0]!, name))
  expect(began).toEqual(['a1', 'b1'])
  end('b1')
  await all[2]
  expect(began, 'not a2: a1 is of the same viewer').toEqual(['a1', 'b1', 'c1'])
  end('a1')
  await all[0]
  expect(began).toEqual(['a1', 'b1', 'c1', 'a2'])
  end('a2')
  await all[1]
  end('c1')
  end('b2')
  expect(await Promise.all(all)).toEqual(['a1', 'a2', 'b1', 'c1', 'b2'])
})

test('too many of one viewer are refused at once, and delay nobody else', async () => {
  const { began, begin, end } = works()
  const all = Array.from({ length: 30 }, (_, i) => begin('a', `a${i}`))
  expect(await Promise.all(all.slice(21))).toMatchObject(
    Array.from({ length: 9 }, () => ({ extensions: { code: 'TRY_AGAIN_LATER' } })),
  )
  const other = begin('b', 'b')
  expect(began).toEqual(['a0', 'b'])
  end('b')
  expect(await other).toBe('b')
  for (let i = 0; i < 21; i++) {
    end(`a${i}`)
    expect(await all[i]).toBe(`a${i}`)
  }
  const last = begin('a', 'last')
  end('last')
  expect(await last).toBe('last')
})
