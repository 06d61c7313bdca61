import t from 'tap'
import { describeBareCounter, listOf } from '../../src/evaluate/context.ts'

t.test('names in a message are sorted, and at most twelve', async (t) => {
  t.equal(listOf(['b', 'a']), 'a, b')
  t.equal(listOf([]), 'none')
  t.equal(listOf('abcdefghijklmn'), 'a, b, c, d, e, f, g, h, i, j, k, l, …')
})

t.test('a counter without a rate is named in its message', async (t) => {
  t.match(describeBareCounter('jobs_total'), 'counter jobs_total')
})
