import { Counter } from 'prom-client'
import t from 'tap'
import { build, samples } from '../helpers.ts'

t.test('a counter accepts every call form of prom-client', async (t) => {
  const { metrics } = await build(t)
  const counter = metrics.counter({ name: 'calls_total', help: 'Calls.', labelNames: ['a', 'b'] })
  counter.inc({ a: 'x', b: 'y' })
  counter.inc({ a: 'x', b: 'y' }, 2.5)
  counter.inc({ labels: { a: 'x', b: 'y' }, value: 4 })
  counter.labels('x', 'y').inc()
  counter.labels({ b: 'y', a: 'x' }).inc(8)
  counter.inc({ a: 'x' }, 0)
  const plain = metrics.counter({ name: 'plain_total', help: 'Plain.' })
  plain.inc()
  plain.inc(2)
  plain.inc({}, 3)
  plain.labels().inc(4)
  plain.inc({ value: 5 })
  t.same(await samples(metrics, 'calls_'), ['calls_total{a="x",b="y"} 16.5', 'calls_total{a="x",b=""} 0'])
  t.same(await samples(metrics, 'plain_'), ['plain_total 15'])
})

t.test('a counter throws on a value that is not finite or negative, and keeps its value', async (t) => {
  const { metrics } = await build(t)
  const counter = metrics.counter({ name: 'c_total', help: 'C.' })
  const theirs = new Counter({ name: 'c_total', help: 'C.', registers: [] })
  for (const value of [Infinity, -Infinity, '5', {}] as never[]) {
    t.throws(() => theirs.inc({}, value))
    t.throws(() => counter.inc({}, value), { code: 'METRICS_ERR_VALUE' }, `counter ${value}`)
    t.throws(() => counter.labels().inc(value), { code: 'METRICS_ERR_VALUE' })
  }
  // prom-client counts NaN as 0, which hides the mistake.
  t.throws(() => counter.inc(NaN), { code: 'METRICS_ERR_VALUE' })
  t.throws(() => theirs.inc(-1))
  t.throws(() => counter.inc(-1), { code: 'METRICS_ERR_DECREASE' })
  t.same(counter.labels().value, 0)
})
