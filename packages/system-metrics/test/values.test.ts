import t from 'tap'
import { increase } from '../src/values.ts'

t.test('a counter of the system that begins again never lets ours go down', async (t) => {
  let total = 0
  let last: number | undefined
  const totals = [100, 250, 250, 40, 90, 0, 5].map((now) => {
    total += increase(last, now)
    last = now
    return total
  })

  t.strictSame(totals, [100, 250, 250, 290, 340, 340, 345])
})
