import { createHash } from 'node:crypto'
import Fastify from 'fastify'
import t from 'tap'
import { metricsCore, OVERFLOW } from '../../src/index.ts'
import { build, OPEN_METRICS, runFixture, samples } from '../helpers.ts'

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

t.test('remove drops a series, reset sets all series to zero, and the next scrape shows both', async (t) => {
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
  t.same(await samples(metrics, 'c_'), ['c_total{a="kept"} 1'], 'a bound series still counts after a reset')

  counter.remove('kept')
  kept.inc()
  t.same(await samples(metrics, 'c_'), [], 'updates to a removed series are dropped')
  histogram.remove()
  histogram.observe(1)
  t.equal(
    (await samples(metrics, 'h_count'))[0],
    'h_count 1',
    'a removed series of an instrument without labels is made again',
  )
})

t.test(
  'label sets beyond the cardinality limit share one overflow series, are counted, and are logged once',
  async (t) => {
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
    t.same(await samples(metrics, 'metrics_series_overflow'), counted, 'a reset counts as no observation')
  },
)

t.test('reserved label sets do not count towards the cardinality limit, whatever came first', async (t) => {
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

t.test('removing series and making them again does not change the cardinality limit', async (t) => {
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

t.test('a label value that equals the overflow marker loses no observation', async (t) => {
  const { metrics } = await build(t, { maxSeries: 1 })
  const counter = metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a'] })
  const bound = counter.labels(OVERFLOW)
  bound.inc()
  for (const a of ['1', '2', '3']) counter.inc({ a })
  bound.inc()
  t.same(await samples(metrics, 'c_'), [`c_total{a="${OVERFLOW}"} 4`, 'c_total{a="1"} 1'])
})

t.test('long label values are cut, stay distinct, and are counted', async (t) => {
  const { metrics } = await build(t, { maxLabelLength: 64 })
  const counter = metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a', 'b'] })
  const long = 'x'.repeat(100_000)
  const hash = createHash('sha256').update(long, 'utf16le').digest('hex').slice(0, 32)
  counter.inc({ a: long, b: 'y'.repeat(64) })
  counter.labels(long, 'y'.repeat(64)).inc()
  counter.inc({ a: `${long}y` })
  counter.reserve({ a: '\ud800'.repeat(65) })
  const lines = await samples(metrics, 'c_total')
  t.equal(lines.length, 3, 'two that begin alike are two series')
  t.equal(lines[0], `c_total{a="${'x'.repeat(31)}…${hash}",b="${'y'.repeat(64)}"} 2`)
  t.same(await samples(metrics, 'metrics_labels_truncated_total'), [
    'metrics_labels_truncated_total{metric="c_total"} 4',
  ])
  counter.remove(long, 'y'.repeat(64))
  t.equal((await samples(metrics, 'c_total')).length, 2)
  for (const maxLabelLength of [63, NaN, 'long']) {
    await t.rejects(build(t, { maxLabelLength: maxLabelLength as number }), { code: 'METRICS_ERR_OPTION' })
  }
})

t.test('exemplars show in OpenMetrics only: the last one of a counter, and the last one of each bucket', async (t) => {
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
  for (const nothing of [{}, null, { trace_id: undefined }]) counter.labels('2').inc(0, nothing as never)
  histogram.startTimer({}, { trace_id: 'start' })({}, { span_id: 'end' })
  await samples(metrics, '')
  const time = String.raw`\d+(\.\d+)?$`
  const open = [...(await samples(metrics, 'c_', OPEN_METRICS)), ...(await samples(metrics, 'h_', OPEN_METRICS))]
  t.match(open, [
    new RegExp(String.raw`^c_total\{a="1"\} 2 # \{trace_id="first"\} 2 ${time}`),
    new RegExp(String.raw`^c_total\{a="2"\} 3 # \{trace_id="a_b_"\} 3 ${time}`),
    new RegExp(String.raw`^h_bucket\{le="1.0"\} 2 # \{trace_id="start",span_id="end"\} \S+ ${time}`),
    new RegExp(String.raw`^h_bucket\{le="2.0"\} 4 # \{trace_id="new"\} 1.25 ${time}`),
    /^h_bucket\{le="\+Inf"\} 4$/,
    /^h_sum \S+$/,
    'h_count 4',
  ])
  t.ok((await samples(metrics, '')).every((line) => !line.includes('trace_id')))
})

t.test('an exemplar that OpenMetrics refuses is left out, and the observation counts', async (t) => {
  const { metrics } = await build(t)
  const counter = metrics.counter({ name: 'c_total', help: 'C.' })
  const histogram = metrics.histogram({ name: 'h', help: 'H.' })
  const kept = { trace_id: 'x'.repeat(120) }
  counter.inc({ exemplarLabels: kept })
  histogram.observe({ value: 1, exemplarLabels: kept })
  const refused: unknown[] = [
    { trace_id: 'x'.repeat(121) },
    { trace_id: `${'x'.repeat(116)}\0` },
    { 'trace-id': 'x' },
    { __name__: 'x' },
    { '': 'x' },
    { le: '5' },
    { quantile: '5' },
    { trace_id: { toString: undefined } },
    JSON.parse('{"__proto__":"x"}'),
    'trace',
    7,
    {},
    null,
  ]
  for (const exemplarLabels of refused) {
    counter.inc({ value: 1, exemplarLabels: exemplarLabels as never })
    histogram.observe({ value: 1, exemplarLabels: exemplarLabels as never })
  }
  const count = refused.length + 1
  t.same([counter.labels().value, histogram.labels().count], [count, count])
  const open = [...(await samples(metrics, 'c_', OPEN_METRICS)), ...(await samples(metrics, 'h_', OPEN_METRICS))]
  t.equal(open.filter((line) => line.includes(` # {trace_id="${kept.trace_id}"}`)).length, 2, 'a real one stays')
  t.doesNotThrow(() => counter.inc({ exemplarLabels: { trace_id: '😀'.repeat(120) } }))
})

t.test(
  'one million distinct label values stay within the cardinality limit and within 10 MB of resident memory',
  async (t) => {
    // Node.js 24 grows the young generation by steps of 32 MB and more, whatever fills it.
    const flags = ['--expose-gc', '--max-semi-space-size=4']
    const { stdout, stderr } = await runFixture('label-flood.mjs', [], flags)
    t.comment(stdout.trim())
    const { series, grownBytes, overflow } = JSON.parse(stdout || `{"error":${JSON.stringify(stderr)}}`)
    t.equal(series, 1001)
    t.equal(overflow, 999_000)
    t.ok(grownBytes < 10 * 1024 * 1024, `${grownBytes} bytes`)
  },
)

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
