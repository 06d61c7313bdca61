import { Counter, Registry } from 'prom-client'
import t from 'tap'
import { build, samples } from '../helpers.ts'

t.test(
  'an instrument is made once and found again; a different one of the same name throws an error that names both',
  async (t) => {
    const { metrics } = await build(t)
    const counter = metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a', 'b'] })
    t.equal(metrics.counter({ name: 'c_total', help: 'Other words.', labelNames: ['a', 'b'] }), counter)
    t.throws(() => metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a'] }), {
      code: 'METRICS_ERR_MISMATCH',
      message: 'Expected metric `c_total` to be labelled (a,b) as when it was first made, got (a)',
    })
    t.throws(() => metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['b', 'a'] }), {
      code: 'METRICS_ERR_MISMATCH',
    })
    t.throws(() => metrics.gauge({ name: 'c_total', help: 'C.', labelNames: ['a', 'b'] }), {
      code: 'METRICS_ERR_MISMATCH',
      message: 'Expected metric `c_total` to be a counter as when it was first made, got a gauge',
    })
    metrics.histogram({ name: 'h', help: 'H.', buckets: [1, 2] })
    t.doesNotThrow(() => metrics.histogram({ name: 'h', help: 'H.', buckets: [1, 2] }))
    t.throws(() => metrics.histogram({ name: 'h', help: 'H.', buckets: [1, 3] }), { code: 'METRICS_ERR_MISMATCH' })
    t.throws(() => metrics.histogram({ name: 'h', help: 'H.' }), { code: 'METRICS_ERR_MISMATCH' })
  },
)

t.test(
  'a metric of prom-client is never returned as an instrument, and sample names of two metrics never collide',
  async (t) => {
    const registry = new Registry()
    new Counter({ name: 'theirs_total', help: 'Theirs.', registers: [registry] })
    const { metrics } = await build(t, { registry })
    t.throws(() => metrics.counter({ name: 'theirs_total', help: 'Ours.' }), {
      code: 'METRICS_ERR_MISMATCH',
      message: /registered by a Prometheus client/,
    })
    metrics.histogram({ name: 'jobs', help: 'Jobs.' })
    t.throws(() => metrics.counter({ name: 'jobs_count', help: 'Jobs.' }), { code: 'METRICS_ERR_NAME' })
    metrics.gauge({ name: 'size_sum', help: 'Size.' })
    t.throws(() => metrics.histogram({ name: 'size', help: 'Size.' }), { code: 'METRICS_ERR_NAME' })
    t.equal(registry.getSingleMetric('size'), undefined)
  },
)

t.test('wrong names, help texts, units, limits and labels fail when the instrument is made', async (t) => {
  const { metrics } = await build(t)
  const make = (options: object) => () => metrics.histogram({ name: 'h', help: 'H.', ...options })
  for (const name of ['', '1a', 'a-b', 'ä', undefined]) t.throws(make({ name }), { code: 'METRICS_ERR_NAME' })
  for (const label of ['', '1a', 'a-b', '__a', 'le']) {
    t.throws(make({ labelNames: [label] }), { code: 'METRICS_ERR_NAME' }, label)
  }
  for (const help of ['', undefined, 5]) t.throws(make({ help }), { code: 'METRICS_ERR_OPTION' })
  t.throws(make({ unit: 'seconds' }), { code: 'METRICS_ERR_MISMATCH' })
  for (const maxSeries of [-1, NaN, 'many']) t.throws(make({ maxSeries }), { code: 'METRICS_ERR_OPTION' })
  t.throws(make({ labelNames: ['a', 'b', 'a'] }), {
    code: 'METRICS_ERR_OPTION',
    message: "Expected option `labelNames of h` to be names that differ, got [ 'a', 'b', 'a' ]",
  })
  t.equal(metrics.registry.getSingleMetric('h'), undefined)
  t.doesNotThrow(() => metrics.counter({ name: 'c_seconds_total', help: 'C.', unit: 'seconds', labelNames: ['le'] }))
})

t.test('registry.resetMetrics() and registry.clear() apply to the instruments', async (t) => {
  const registry = new Registry()
  const { metrics } = await build(t, { registry })
  const counter = metrics.counter({ name: 'c_total', help: 'C.' })
  counter.inc(3)
  registry.resetMetrics()
  t.same(await samples(metrics, 'c_'), ['c_total 0'])
  registry.clear()
  counter.inc()
  t.same(await samples(metrics, ''), [''])
  t.not(metrics.counter({ name: 'c_total', help: 'C.' }), counter)
})
