import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import Fastify, { type FastifyInstance } from 'fastify'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { encode } from '../src/encoding/label-bytes.ts'
import { toBytes } from '../src/encoding/writer.ts'
import { DEFAULT_BUCKETS, type Metrics, type MetricsCoreOptions, metricsCore, OVERFLOW } from '../src/index.ts'

async function build(t: Test, options: MetricsCoreOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(metricsCore, { defaultMetrics: false, app: { name: 'test', version: '1' }, ...options })
  return app
}

/** The sample lines of the metrics whose names begin so. */
async function samples(metrics: Metrics, prefix: string, accept?: string): Promise<string[]> {
  const { body } = await metrics.expose({ accept })
  return body
    .toString()
    .split('\n')
    .filter((line) => line.startsWith(prefix))
}

/** A child process is no part of tap's accounts. */
const { NODE_OPTIONS, ...env } = process.env
const OPEN_METRICS = 'application/openmetrics-text'

t.test('a counter takes all forms of prom-client', async (t) => {
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

t.test('a gauge takes all forms of prom-client', async (t) => {
  const { metrics } = await build(t)
  const gauge = metrics.gauge({ name: 'level', help: 'Level.', labelNames: ['a'] })
  gauge.set({ a: '1' }, 5)
  gauge.inc({ a: '1' })
  gauge.inc({ a: '1' }, 4)
  gauge.dec({ a: '1' })
  gauge.dec({ a: '1' }, 2.5)
  gauge.labels('2').set(-0)
  gauge.labels('3').set(Infinity)
  gauge.labels('4').set(-Infinity)
  gauge.labels('5').set(NaN)
  gauge.labels('6').set(1e21)
  gauge.labels('7').dec()
  const plain = metrics.gauge({ name: 'plain', help: 'Plain.' })
  plain.set(3)
  plain.inc()
  plain.inc(2)
  plain.dec()
  plain.dec(2)
  t.same(await samples(metrics, 'level'), [
    'level{a="1"} 6.5',
    'level{a="2"} 0',
    'level{a="3"} +Inf',
    'level{a="4"} -Inf',
    'level{a="5"} NaN',
    'level{a="6"} 1e+21',
    'level{a="7"} -1',
  ])
  t.same(await samples(metrics, 'plain'), ['plain 3'])

  const before = Date.now() / 1000
  plain.setToCurrentTime()
  gauge.setToCurrentTime({ a: '1' })
  gauge.labels('2').setToCurrentTime()
  for (const line of [...(await samples(metrics, 'plain')), ...(await samples(metrics, 'level')).slice(0, 2)]) {
    const seconds = Number(line.split(' ')[1])
    t.ok(seconds >= before && seconds <= Date.now() / 1000, line)
  }
})

t.test(
  'a histogram takes all forms of prom-client and counts each observation in every bucket from its own up',
  async (t) => {
    const { metrics } = await build(t)
    const histogram = metrics.histogram({ name: 'size_bytes', help: 'Size.', labelNames: ['a'], buckets: [1, 2.5] })
    histogram.observe({ a: 'x' }, 1)
    histogram.observe({ labels: { a: 'x' }, value: 1.5 })
    histogram.labels('x').observe(2.5)
    histogram.labels({ a: 'x' }).observe(3)
    histogram.setToZero({ a: 'y' })
    const expected = (a: string, counts: number[], sum: number) => [
      `size_bytes_bucket{a="${a}",le="1.0"} ${counts[0]}`,
      `size_bytes_bucket{a="${a}",le="2.5"} ${counts[1]}`,
      `size_bytes_bucket{a="${a}",le="+Inf"} ${counts[2]}`,
      `size_bytes_sum{a="${a}"} ${sum}`,
      `size_bytes_count{a="${a}"} ${counts[2]}`,
    ]
    t.same(await samples(metrics, 'size_'), [...expected('x', [1, 3, 4], 8), ...expected('y', [0, 0, 0], 0)])
    t.equal(histogram.labels('x').count, 4)

    const plain = metrics.histogram({ name: 'plain', help: 'Plain.' })
    plain.observe(0.3)
    plain.observe({ value: 20 })
    t.same(plain.buckets, DEFAULT_BUCKETS)
    t.same((await samples(metrics, 'plain')).slice(-4), [
      'plain_bucket{le="10.0"} 1',
      'plain_bucket{le="+Inf"} 2',
      'plain_sum 20.3',
      'plain_count 2',
    ])
  },
)

t.test('the label le stands last, and a bound is written, as Go does it', async (t) => {
  const { metrics } = await build(t)
  const buckets = [1e-7, 0.00001, 0.0001, 0.5, 1, 100000, 1e6, 1048576, 1e21]
  const histogram = metrics.histogram({ name: 'h', help: 'H.', labelNames: ['z', 'a', 'le2'], buckets })
  histogram.observe({ a: 'quote " le="1.0"', le2: '\\', z: '{}' }, 1)
  const lines = await samples(metrics, 'h_bucket')
  const bounds = ['1e-07', '1e-05', '0.0001', '0.5', '1.0', '100000.0', '1e+06', '1.048576e+06', '1e+21', '+Inf']
  t.same(
    lines,
    bounds.map(
      (le, index) =>
        `h_bucket{a="quote \\" le=\\"1.0\\"",le2="\\\\",z="{}",le="${le}"} ${index >= bounds.indexOf('1.0') ? 1 : 0}`,
    ),
  )
})

t.test('timers measure seconds, take end labels, and return what they recorded', async (t) => {
  const { metrics } = await build(t)
  const histogram = metrics.histogram({ name: 'h_seconds', help: 'H.', labelNames: ['a', 'b'] })
  const gauge = metrics.gauge({ name: 'g_seconds', help: 'G.', labelNames: ['a'] })
  const ends = [histogram.startTimer({ a: '1' }), histogram.labels('1', '2').startTimer(), gauge.startTimer({ a: '1' })]
  const start = performance.now()
  while (performance.now() - start < 5);
  const [first, second, third] = [ends[0]!({ b: '2' }), ends[1]!(), ends[2]!()]
  const spent = (performance.now() - start) / 1000 + 0.001
  for (const seconds of [first, second, third]) t.ok(seconds >= 0.005 && seconds <= spent + 1, `${seconds}`)
  t.equal(histogram.labels('1', '2').count, 2)
  t.equal(histogram.labels('1', '2').sum, first + second)
  t.equal(gauge.labels('1').value, third)
})

t.test('a wrong value throws where prom-client throws, and changes nothing', async (t) => {
  const { metrics } = await build(t)
  const counter = metrics.counter({ name: 'c_total', help: 'C.' })
  const gauge = metrics.gauge({ name: 'g', help: 'G.' })
  const histogram = metrics.histogram({ name: 'h', help: 'H.' })
  const theirs = {
    counter: new Counter({ name: 'c_total', help: 'C.', registers: [] }),
    gauge: new Gauge({ name: 'g', help: 'G.', registers: [] }),
    histogram: new Histogram({ name: 'h', help: 'H.', registers: [] }),
  }
  for (const value of [Infinity, -Infinity, '5', {}] as never[]) {
    t.throws(() => theirs.counter.inc({}, value))
    t.throws(() => counter.inc({}, value), { code: 'METRICS_ERR_VALUE' }, `counter ${value}`)
    t.throws(() => counter.labels().inc(value), { code: 'METRICS_ERR_VALUE' })
  }
  // prom-client takes NaN for 0: one such value is a fault that nobody sees.
  t.throws(() => counter.inc(NaN), { code: 'METRICS_ERR_VALUE' })
  t.throws(() => theirs.counter.inc(-1))
  t.throws(() => counter.inc(-1), { code: 'METRICS_ERR_DECREASE' })
  for (const value of ['5', undefined, null, 5n] as never[]) {
    t.throws(() => theirs.gauge.set(value))
    t.throws(() => gauge.set(value), { code: 'METRICS_ERR_VALUE' })
  }
  for (const value of ['5', NaN, Infinity] as never[]) {
    t.throws(() => gauge.inc(value), { code: 'METRICS_ERR_VALUE' })
    t.throws(() => gauge.dec(value), { code: 'METRICS_ERR_VALUE' })
    t.throws(() => theirs.histogram.observe(value))
    t.throws(() => histogram.observe(value), { code: 'METRICS_ERR_VALUE' })
  }
  t.same([counter.labels().value, gauge.labels().value, histogram.labels().count], [0, 0, 0])
})

t.test('a wrong label throws where prom-client throws', async (t) => {
  const { metrics } = await build(t)
  const counter = metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a', 'b'] })
  t.throws(() => counter.inc({ c: '1' } as never), {
    code: 'METRICS_ERR_LABEL',
    message: 'Expected a label of `c_total` (a, b), got c',
  })
  t.throws(() => counter.labels('1'), {
    code: 'METRICS_ERR_LABEL_COUNT',
    message: 'Expected a value for each label of `c_total` (a, b), got 1 values',
  })
  t.throws(() => counter.labels('1', '2', '3'), { code: 'METRICS_ERR_LABEL_COUNT' })
  t.throws(() => counter.labels(), { code: 'METRICS_ERR_LABEL_COUNT' })
  t.throws(() => counter.remove('1'), { code: 'METRICS_ERR_LABEL_COUNT' })
  t.equal(counter.series.size, 0)
})

t.test('an instrument is made once and found again; one that differs is an error that names both', async (t) => {
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
})

t.test('a metric of prom-client is never taken for an instrument, nor its samples for a metric', async (t) => {
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
})

t.test('wrong names, help texts, units, caps and buckets fail when the instrument is made', async (t) => {
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
  for (const buckets of [[2, 1], [1, 1], [1, Infinity], [NaN], ['1', 'x'], new Array(2), '1', 5, null]) {
    t.throws(make({ buckets }), { code: 'METRICS_ERR_OPTION', message: /ascending finite numbers/ }, String(buckets))
  }
  t.equal(metrics.registry.getSingleMetric('h'), undefined)
  t.doesNotThrow(() => metrics.counter({ name: 'c_seconds_total', help: 'C.', unit: 'seconds', labelNames: ['le'] }))
  t.doesNotThrow(make({ buckets: [] }))
})

t.test('label values of any kind and content are series of their own, and read back as they were', async (t) => {
  const { metrics } = await build(t)
  const values = [
    ...[
      '',
      'a',
      'a|b',
      'a,b',
      'a:b',
      'a"b',
      'a\\b',
      'a\nb',
      'a\\nb',
      '\\',
      '"',
      '\n',
      '\r',
      '\r\n',
      '\t',
      ' ',
      '{',
      '}',
    ],
    ...['",b="', 'x",b="y', 'x|', '|y', '😀', '\ud83d', '\ude00', '\ude00\ud83d', '\ufffd', '\ufffdd83d', '\ufffdfffd'],
    ...['\ufffdfffdd83d', '\ufffd\ud83d', '\0', '\ufffd0000', '\ufffd\0', '\u2028', '\ufeff', 'é', 'e\u0301'],
    ...[
      '__proto__',
      'constructor',
      'undefined',
      'NaN',
      'x'.repeat(10_000),
      `${'x'.repeat(10_000)}|`,
      '\\'.repeat(9_999),
    ],
  ]
  const counter = metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a', 'b'], maxSeries: false })
  for (const a of values) for (const b of values) counter.inc({ a, b })
  t.equal(counter.series.size, values.length ** 2)
  t.ok([...counter.series.values()].every(({ value }) => value === 1))

  const read = (await counter.get()).values.map(({ labels }) => JSON.stringify([labels.a, labels.b]))
  t.same(new Set(read), new Set(values.flatMap((a) => values.map((b) => JSON.stringify([a, b])))))

  const lines = await samples(metrics, 'c_total')
  t.equal(new Set(lines).size, values.length ** 2, 'no two lines are one')
  t.ok(lines.every((line) => /^c_total\{a="(?:[^"\\]|\\[\\n"])*",b="(?:[^"\\]|\\[\\n"])*"\} 1$/.test(line)))
})

t.test('values that are no strings become text, and absent ones the empty string', async (t) => {
  const { metrics } = await build(t)
  const gauge = metrics.gauge({ name: 'g', help: 'G.', labelNames: ['a'] })
  for (const a of [1, true, 10n, 1.5, null, undefined, { toString: () => 'object' } as never]) gauge.set({ a }, 1)
  gauge.set({}, 2)
  t.same(await samples(metrics, 'g{'), [
    'g{a="1"} 1',
    'g{a="true"} 1',
    'g{a="10"} 1',
    'g{a="1.5"} 1',
    'g{a=""} 2',
    'g{a="object"} 1',
  ])
})

t.test('labels may have the names of what every object inherits', async (t) => {
  const { metrics } = await build(t, { labels: { valueOf: 'x' } })
  const names = ['constructor', 'toString', 'hasOwnProperty'] as const
  const counter = metrics.counter({ name: 'toString_total', help: 'C.', labelNames: names })
  counter.inc({ constructor: 'a' } as never)
  counter.inc({ toString: 'b' } as never)
  counter.inc({} as never)
  t.same(await samples(metrics, 'toString'), [
    'toString_total{constructor="a",hasOwnProperty="",toString="",valueOf="x"} 1',
    'toString_total{constructor="",hasOwnProperty="",toString="b",valueOf="x"} 1',
    'toString_total{constructor="",hasOwnProperty="",toString="",valueOf="x"} 1',
  ])
})

t.test('remove drops a series, reset sets all to zero, and both show at the next scrape', async (t) => {
  const { metrics } = await build(t)
  const counter = metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a'] })
  const histogram = metrics.histogram({ name: 'h', help: 'H.', buckets: [1] })
  const kept = counter.labels('kept')
  kept.inc(5)
  counter.inc({ a: 'gone' })
  histogram.observe({ value: 2, exemplarLabels: { trace_id: 'x' } })
  await samples(metrics, '')
  counter.remove({ a: 'gone' })
  counter.remove('never there')
  t.same(await samples(metrics, 'c_'), ['c_total{a="kept"} 5'])
  counter.reset()
  histogram.reset()
  t.same(await samples(metrics, 'c_'), ['c_total{a="kept"} 0'])
  t.same(await samples(metrics, 'h', OPEN_METRICS), [
    'h_bucket{le="1.0"} 0',
    'h_bucket{le="+Inf"} 0',
    'h_sum 0',
    'h_count 0',
  ])
  kept.inc()
  t.same(await samples(metrics, 'c_'), ['c_total{a="kept"} 1'], 'a bound series counts on after a reset')

  counter.remove('kept')
  kept.inc()
  t.same(await samples(metrics, 'c_'), [], 'a removed series counts no more')
  histogram.remove()
  histogram.observe(1)
  t.equal(
    (await samples(metrics, 'h_count'))[0],
    'h_count 1',
    'an instrument without labels can be removed and come back',
  )
})

t.test('registry.resetMetrics() and registry.clear() reach the instruments', async (t) => {
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

t.test(
  'constant labels are on every series, and a label of the instrument wins over one of the same name',
  async (t) => {
    const { metrics } = await build(t, { labels: { env: 'a"b', region: 'eu' } })
    metrics.counter({ name: 'c_total', help: 'C.' }).inc()
    metrics.gauge({ name: 'g', help: 'G.', labelNames: ['aa', 'env', 'zz'] }).set({ aa: '1', env: 'mine', zz: '2' }, 1)
    metrics.histogram({ name: 'h', help: 'H.', buckets: [] }).observe(1)
    t.same(await samples(metrics, 'c_'), ['c_total{env="a\\"b",region="eu"} 1'])
    t.same(await samples(metrics, 'g{'), ['g{aa="1",env="mine",region="eu",zz="2"} 1'])
    t.same(await samples(metrics, 'h_'), [
      'h_bucket{env="a\\"b",region="eu",le="+Inf"} 1',
      'h_sum{env="a\\"b",region="eu"} 1',
      'h_count{env="a\\"b",region="eu"} 1',
    ])
  },
)

t.test('exemplars show in OpenMetrics only: the last of a counter, the last of each bucket', async (t) => {
  const { metrics } = await build(t)
  const counter = metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a'] })
  const histogram = metrics.histogram({ name: 'h', help: 'H.', buckets: [1, 2] })
  const labels = { trace_id: 'first' }
  counter.inc({ labels: { a: '1' }, value: 2, exemplarLabels: labels })
  labels.trace_id = 'used again by its owner'
  counter.labels('2').inc(3, { trace_id: 'a"b\n' })
  histogram.observe({ value: 1.5, exemplarLabels: { trace_id: 'old' } })
  histogram.startTimer()({}, { trace_id: 'fast' })
  histogram.labels().observe(1.25, { trace_id: 'new' })
  await samples(metrics, '')
  const time = String.raw`\d+(\.\d+)?$`
  const open = [...(await samples(metrics, 'c_', OPEN_METRICS)), ...(await samples(metrics, 'h_', OPEN_METRICS))]
  t.match(open, [
    new RegExp(String.raw`^c_total\{a="1"\} 2 # \{trace_id="first"\} 2 ${time}`),
    new RegExp(String.raw`^c_total\{a="2"\} 3 # \{trace_id="a\\"b\\n"\} 3 ${time}`),
    new RegExp(String.raw`^h_bucket\{le="1.0"\} 1 # \{trace_id="fast"\} \S+ ${time}`),
    new RegExp(String.raw`^h_bucket\{le="2.0"\} 3 # \{trace_id="new"\} 1.25 ${time}`),
    /^h_bucket\{le="\+Inf"\} 3$/,
    /^h_sum \S+$/,
    'h_count 3',
  ])
  t.ok((await samples(metrics, '')).every((line) => !line.includes('trace_id')))
})

t.test('an exemplar that OpenMetrics refuses throws and counts nothing', async (t) => {
  const { metrics } = await build(t)
  const counter = metrics.counter({ name: 'c_total', help: 'C.' })
  const histogram = metrics.histogram({ name: 'h', help: 'H.' })
  for (const [exemplarLabels, code] of [
    [{ trace_id: 'x'.repeat(121) }, 'METRICS_ERR_EXEMPLAR'],
    [{ trace_id: `${'x'.repeat(116)}\0` }, 'METRICS_ERR_EXEMPLAR'],
    [{ 'trace-id': 'x' }, 'METRICS_ERR_NAME'],
  ] as const) {
    t.throws(() => counter.inc({ value: 1, exemplarLabels: exemplarLabels as never }), { code })
    t.throws(() => histogram.observe({ value: 1, exemplarLabels: exemplarLabels as never }), { code })
  }
  t.same([counter.labels().value, histogram.labels().count], [0, 0])
  t.doesNotThrow(() => counter.inc({ exemplarLabels: { trace_id: '😀'.repeat(120) } }))
})

t.test('beyond its cap a metric puts label sets into one overflow series, counts them and logs once', async (t) => {
  const warnings: Array<{ metric: string; maxSeries: number }> = []
  const app = Fastify({
    logger: { level: 'warn', stream: { write: (line: string) => void warnings.push(JSON.parse(line)) } },
  })
  t.teardown(() => app.close())
  await app.register(metricsCore, { defaultMetrics: false, maxSeries: 3 })
  const { metrics } = app
  const counter = metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a', 'b'] })
  const gauge = metrics.gauge({ name: 'g', help: 'G.', labelNames: ['a'], maxSeries: 1 })
  const histogram = metrics.histogram({ name: 'h', help: 'H.', labelNames: ['a'], maxSeries: 0, buckets: [] })
  const free = metrics.counter({ name: 'free_total', help: 'F.', labelNames: ['a'], maxSeries: false })
  t.same(await samples(metrics, 'metrics_series_overflow'), [
    'metrics_series_overflow_total{metric="c_total"} 0',
    'metrics_series_overflow_total{metric="g"} 0',
    'metrics_series_overflow_total{metric="h"} 0',
  ])
  for (let number = 0; number < 10; number += 1) {
    counter.inc({ a: number, b: 'x' })
    gauge.set({ a: number }, number)
    gauge.inc({ a: number }, 0)
    gauge.dec({ a: number }, 0)
    histogram.observe({ a: number }, 1)
    free.inc({ a: number })
  }
  counter.inc({ a: 0, b: 'x' })
  t.same(await samples(metrics, 'c_'), [
    'c_total{a="0",b="x"} 2',
    'c_total{a="1",b="x"} 1',
    'c_total{a="2",b="x"} 1',
    `c_total{a="${OVERFLOW}",b="${OVERFLOW}"} 7`,
  ])
  t.same(await samples(metrics, 'g{'), ['g{a="0"} 0', `g{a="${OVERFLOW}"} 9`])
  t.same(await samples(metrics, 'h_count'), [`h_count{a="${OVERFLOW}"} 10`])
  t.equal(free.series.size, 10)
  const counted = [
    'metrics_series_overflow_total{metric="c_total"} 7',
    'metrics_series_overflow_total{metric="g"} 27',
    'metrics_series_overflow_total{metric="h"} 10',
  ]
  t.same(await samples(metrics, 'metrics_series_overflow'), counted)
  const reported = warnings.map(({ metric, maxSeries }) => [metric, maxSeries])
  t.same(reported, [
    ['h', 0],
    ['g', 1],
    ['c_total', 3],
  ])

  for (const instrument of [counter, gauge, histogram]) instrument.reset()
  t.same(await samples(metrics, 'metrics_series_overflow'), counted, 'a reset is no observation')
})

t.test('label sets known beforehand are outside the cap, whoever came first', async (t) => {
  const { metrics } = await build(t, { maxSeries: 2 })
  const counter = metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a'] })
  counter.inc({ a: 'attack 1' })
  counter.inc({ a: 'route' })
  counter.reserve({ a: 'route' })
  t.equal(counter.reserve({ a: 'late' }), counter.labels('late'))
  counter.inc({ a: 'attack 2' })
  counter.inc({ a: 'attack 3' })
  counter.reserve({ a: 'later still' }).inc()
  t.same(await samples(metrics, 'c_'), [
    'c_total{a="attack 1"} 1',
    'c_total{a="route"} 1',
    'c_total{a="late"} 0',
    'c_total{a="attack 2"} 1',
    `c_total{a="${OVERFLOW}"} 1`,
    'c_total{a="later still"} 1',
  ])
})

t.test('series whose labels meet in one hash stay apart, also while others of them are removed', async (t) => {
  const { metrics } = await build(t, { maxSeries: Infinity })
  const counter = metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a'] })
  // With 30 bits of hash, about 80 of so many meet another.
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

t.test('nobody can choose labels that meet in one hash', (t) => {
  const hashes = new Set<number>()
  // Before the mixing these pairs differ such that only their highest bit does after it, twice: any seed left them alike.
  const pairs = [
    ['on_$on_%', '!\u1024!\u1025'],
    ['on_%on_$', '!\u1025!\u1024'],
  ]
  for (let choice = 0; choice < 4096; choice += 1) {
    let text = ''
    for (let bit = 0; bit < 12; bit += 1) text += pairs[bit % 2]![(choice >> bit) & 1]
    hashes.add(encode([toBytes('')], [text], toBytes('')).hash)
  }
  t.ok(hashes.size > 4000, `${hashes.size} hashes of 4096 labels`)
  t.end()
})

t.test('series come and go as in a Map, and leave nothing behind', async (t) => {
  const { metrics } = await build(t, { maxSeries: Infinity })
  const gauge = metrics.gauge({ name: 'g', help: 'G.', labelNames: ['a'] })
  const expected = new Map<string, number>()
  for (let round = 0; round < 50_000; round += 1) {
    const a = `${Math.floor(Math.random() * 300)}`
    // By turns more come and more go.
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
  t.ok(gauge.series.list().length < 1000, `${gauge.series.list().length} places`)
})

t.test('removing and making series again never raises or lowers the cap', async (t) => {
  const { metrics } = await build(t, { maxSeries: 2 })
  const counter = metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a'] })
  for (let round = 0; round < 5; round += 1) {
    counter.reserve({ a: 'known' })
    counter.remove({ a: 'known' })
    for (const a of ['1', '2', '3']) counter.inc({ a })
    counter.remove(OVERFLOW)
    counter.inc({ a: '4' })
    t.same(
      Array.from(counter.series.values(), ({ labelText }) => labelText),
      ['a="1"', 'a="2"', `a="${OVERFLOW}"`],
    )
    counter.remove('1')
    counter.inc({ a: '1' })
    counter.remove('2')
    counter.remove('1')
  }
  t.match(await samples(metrics, 'metrics_series_overflow_total{metric="c_'), [/ 10$/])
})

t.test('a label value that is the overflow marker itself loses nothing', async (t) => {
  const { metrics } = await build(t, { maxSeries: 1 })
  const counter = metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a'] })
  const bound = counter.labels(OVERFLOW)
  bound.inc()
  for (const a of ['1', '2', '3']) counter.inc({ a })
  bound.inc()
  t.same(await samples(metrics, 'c_'), [`c_total{a="${OVERFLOW}"} 4`, 'c_total{a="1"} 1'])
})

t.test('one million distinct label values leave the series at the cap and resident memory within 10 MB', (t) => {
  const script = fileURLToPath(new URL('fixtures/label-flood.mjs', import.meta.url))
  // Node.js 24 lets the young generation grow by steps of 32 MB and more, whatever fills it.
  const flags = ['--expose-gc', '--max-semi-space-size=4']
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, script], { encoding: 'utf8', env })
  t.comment(stdout.trim())
  const { series, grownBytes, overflow } = JSON.parse(stdout || `{"error":${JSON.stringify(stderr)}}`)
  t.equal(series, 1001)
  t.equal(overflow, 999_000)
  t.ok(grownBytes < 10 * 1024 * 1024, `${grownBytes} bytes`)
  t.end()
})
