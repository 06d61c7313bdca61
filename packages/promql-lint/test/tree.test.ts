import t from 'tap'
import { errorIn, isComparison, isComplete, isRange, isRegex, rootOf, toNumber, unquote } from '../src/tree.ts'

t.test('a complete expression parses to its end', async (t) => {
  t.equal(isComplete('sum by (job) (up)'), true)
  t.equal(isComplete('sum by (job) ('), false)
  t.equal(errorIn('up up')?.from, 3)
})

t.test('a comparison is found at any depth', async (t) => {
  t.equal(isComparison('sum(up == 0)'), true)
  t.equal(isComparison('up + 1'), false)
})

t.test('a range vector is one with an offset too', async (t) => {
  t.equal(isRange(rootOf('up[5m] offset 1d')!), true)
  t.equal(isRange(rootOf('up[5m:1m]')!), true)
  t.equal(isRange(rootOf('up')!), false)
})

t.test('literals are read', async (t) => {
  t.equal(unquote('"a\\n\\"b\\""'), 'a\n"b"')
  t.equal(unquote("'a'"), 'a')
  t.equal(unquote('`a\\n`'), 'a\\n')
  t.equal(unquote('job'), 'job')
  t.equal(toNumber('1h30m'), 5400)
  t.equal(toNumber('-5m'), -300)
  t.equal(toNumber('500ms'), 0.5)
  t.equal(toNumber('1e3'), 1000)
  t.equal(toNumber('Inf'), Number.POSITIVE_INFINITY)
  t.equal(isRegex('a|b'), true)
  t.equal(isRegex('(a'), false)
})
