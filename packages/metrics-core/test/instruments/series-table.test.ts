import t from 'tap'
import { build } from '../helpers.ts'

t.test('series whose labels have the same hash stay apart, also while others of them are removed', async (t) => {
  const { metrics } = await build(t, { maxSeries: Infinity })
  const counter = metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a'] })
  // With hashes of 30 bits, about 80 pairs out of so many collide.
  const count = 400_000
  for (let a = 0; a < count; a += 1) counter.inc({ a }, a)
  t.equal(counter.series.size, count)
  for (let a = 0; a < count; a += 2) counter.remove({ a })
  for (let a = 1; a < count; a += 2) counter.inc({ a }, 0.5)
  const values = Array.from(counter.series.values(), ({ value }) => value)
  t.equal(values.length, count / 2)
  const wrong = values.sort((x, y) => x - y).filter((value, index) => value !== 2 * index + 1.5)
  t.same(wrong, [])
})

t.test('series come and go as in a Map, and leave no memory behind', async (t) => {
  const { metrics } = await build(t, { maxSeries: Infinity })
  const gauge = metrics.gauge({ name: 'g', help: 'G.', labelNames: ['a'] })
  const expected = new Map<string, number>()
  for (let round = 0; round < 50_000; round += 1) {
    const a = `${Math.floor(Math.random() * 300)}`
    // In one half of each period more series come, in the other more go.
    if (Math.random() < (round % 10_000 < 5_000 ? 0.7 : 0.3)) {
      gauge.set({ a }, round)
      expected.set(a, round)
    } else {
      gauge.remove({ a })
      expected.delete(a)
    }
  }
  t.same(
    Array.from(gauge.series.values(), ({ labelText, value }) => [labelText, value]),
    Array.from(expected, ([a, value]) => [`a="${a}"`, value]),
  )
  t.equal(gauge.series.size, expected.size)
  t.ok(gauge.series.list().length < 1000, `${gauge.series.list().length} entries`)
})
