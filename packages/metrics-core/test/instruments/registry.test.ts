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

t.test('registry.resetMetrics() sets what was counted to zero, and leaves what is a state', async (t) => {
  const registry = new Registry()
  const { metrics } = await build(t, { registry, defaultMetrics: true })
  const counter = metrics.counter({ name: 'c_total', help: 'C.' })
  const open = metrics.gauge({ name: 'connections_open', help: 'G.', isState: true })
  counter.inc(3)
  open.inc()
  const facts = async () => [
    ...(await samples(metrics, 'app_info')),
    ...(await samples(metrics, 'nodejs_version_info')),
    ...(await samples(metrics, 'process_start_time_seconds')),
    ...(await samples(metrics, 'process_max_fds')),
  ]
  const before = await facts()
  registry.resetMetrics()
  t.same(await samples(metrics, 'c_'), ['c_total 0'])
  t.same(await facts(), before)
  open.dec()
  t.same(await samples(metrics, 'connections_open'), ['connections_open 0'])
})

t.test('a registry that somebody clears gets the instruments back, with what they have counted', async (t) => {
  const registry = new Registry()
  const { metrics } = await build(t, { registry, defaultMetrics: true })
  const counter = metrics.counter({ name: 'c_total', help: 'C.' })
  const series = counter.labels()
  series.inc()
  registry.clear()
  series.inc()
  t.same(await samples(metrics, 'c_'), ['c_total 2'])
  t.equal((await samples(metrics, 'metrics_collector_success')).length > 3, true, 'collectors run on')

  registry.clear()
  t.equal(metrics.counter({ name: 'c_total', help: 'C.' }), counter)
  t.equal(registry.getSingleMetric('c_total'), counter)

  registry.removeSingleMetric('c_total')
  t.same(await samples(metrics, 'c_'), [], 'one metric that is removed stays away')
  t.not(metrics.counter({ name: 'c_total', help: 'C.' }), counter)
})

t.test('the collectors of all applications with one registry run for it, until they close', async (t) => {
  const registry = new Registry()
  const apps = [await build(t, { registry }), await build(t, { registry })]
  const runs = [0, 0]
  for (const [index, { metrics }] of apps.entries()) {
    metrics.gauge({ name: 'depth', help: 'D.' })
    metrics.collector(`depth_${index}`, () => {
      runs[index]! += 1
    })
  }
  await registry.metrics()
  t.ok(runs.every((count) => count > 0))
  await apps[1]!.close()
  const [before, closed] = runs
  await registry.metrics()
  t.ok(runs[0]! > before!, 'the first one runs on')
  t.equal(runs[1], closed)
})

t.test('default labels that Prometheus refuses, set on the registry later, are left out', async (t) => {
  const registry = new Registry()
  const { metrics } = await build(t, { registry })
  metrics.histogram({ name: 'h', help: 'H.', buckets: [1] }).observe(2)
  registry.setDefaultLabels({ 'service.name': 'x', le: '7', quantile: '7', __name__: 'y', fine: 'yes' } as object)
  t.same(await samples(metrics, 'h_'), [
    'h_bucket{fine="yes",le="1.0"} 0',
    'h_bucket{fine="yes",le="+Inf"} 1',
    'h_sum{fine="yes"} 2',
    'h_count{fine="yes"} 1',
  ])
})
