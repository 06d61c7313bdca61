import { openmetricsParser, prometheus, promtool, toolOrSkip } from '@data20/dev-services'
import { Gauge, Histogram, Registry, Summary } from 'prom-client'
import t from 'tap'
import { generate } from '../../soak/generate.ts'
import { proveByPrometheus, proveByPromtool, proveByStrictParser } from '../../soak/proof.ts'
import { assertParses, CLIENTS } from '../clients.ts'
import { build, lines, OPEN_METRICS, scrape } from '../helpers.ts'

t.test('text 0.0.4 and OpenMetrics 1.0 are rendered byte for byte', async (t) => {
  const { metrics } = await build(t)
  metrics
    .counter({ name: 'c_seconds_total', help: 'A "c"\\\n.', unit: 'seconds', labelNames: ['a'] })
    .inc({ a: '"\\\n' }, 2)
  metrics.gauge({ name: 'g', help: 'G.' }).set(1.5)
  metrics.histogram({ name: 'h_bytes', help: 'H.', unit: 'bytes', buckets: [1] }).observe(1)
  metrics.gauge({ name: 'empty', help: 'E.', labelNames: ['a'] })
  const names = ['c_seconds_total', 'g', 'h_bytes', 'empty']
  const text = await metrics.expose({ names })
  t.equal(
    text.body.toString(),
    `# HELP c_seconds_total A "c"\\\\\\n.
# TYPE c_seconds_total counter
c_seconds_total{a="\\"\\\\\\n"} 2
# HELP g G.
# TYPE g gauge
g 1.5
# HELP h_bytes H.
# TYPE h_bytes histogram
h_bytes_bucket{le="1.0"} 1
h_bytes_bucket{le="+Inf"} 1
h_bytes_sum 1
h_bytes_count 1
# HELP empty E.
# TYPE empty gauge
`,
  )
  const openMetrics = await metrics.expose({ names, accept: OPEN_METRICS })
  t.equal(
    openMetrics.body.toString(),
    `# HELP c_seconds A \\"c\\"\\\\\\n.
# TYPE c_seconds counter
# UNIT c_seconds seconds
c_seconds_total{a="\\"\\\\\\n"} 2
# HELP g G.
# TYPE g gauge
g 1.5
# HELP h_bytes H.
# TYPE h_bytes histogram
# UNIT h_bytes bytes
h_bytes_bucket{le="1.0"} 1
h_bytes_bucket{le="+Inf"} 1
h_bytes_sum 1
h_bytes_count 1
# HELP empty E.
# TYPE empty gauge
# EOF
`,
  )
})

t.test('labels named le and quantile are normalised in histograms and summaries only', async (t) => {
  const registry = new Registry()
  const app = await build(t, { registry })
  const level = new Gauge({
    name: 'level',
    help: 'L.',
    labelNames: ['quantile', 'le'],
    registers: [registry],
  })
  level.set({ quantile: '0.50', le: '007' }, 1)
  level.set({ quantile: '0.5', le: '' }, 2)
  new Histogram({ name: 'below', help: 'B.', buckets: [5], registers: [registry] }).observe(-1)
  new Summary({ name: 'size', help: 'S.', percentiles: [1], registers: [registry] }).observe(3)
  for (const accept of [undefined, OPEN_METRICS]) {
    const text = await scrape(app, accept === undefined ? {} : { accept })
    t.match(text, 'level{quantile="0.50",le="007"} 1\n')
    t.match(text, 'level{quantile="0.5",le=""} 2\n')
    t.match(text, 'below_bucket{le="5.0"} 1\n')
    t.match(text, 'size{quantile="1.0"} 3\n')
  }
})

t.test('rendering a large registry yields to the event loop, and renders all of it', async (t) => {
  const { metrics } = await build(t, { maxSeries: Infinity })
  const gauge = metrics.gauge({ name: 'g', help: 'G.', labelNames: ['number'] })
  for (let number = 0; number < 300_000; number += 1) gauge.set({ number }, number)
  let turns = 0
  const count = () => {
    turns += 1
    immediate = setImmediate(count)
  }
  let immediate = setImmediate(count)
  t.teardown(() => clearImmediate(immediate))
  await metrics.expose({ names: ['app_info'] })
  const without = turns
  turns = 0
  const late = gauge.labels('late')
  const rendering = metrics.expose({ names: ['g'] })
  setImmediate(() => late.set(7))
  const { body } = await rendering
  t.ok(turns > without + 3, `${turns} turns of the event loop, ${without} for a small registry`)
  t.equal(body.toString().split('\n').length, 300_000 + 1 + 3)
})

t.test('metrics that are removed during rendering do not break the exposition', async (t) => {
  const { metrics } = await build(t, { maxSeries: Infinity })
  const gauge = metrics.gauge({ name: 'g', help: 'G.', labelNames: ['number'] })
  for (let number = 0; number < 50_000; number += 1) gauge.set({ number }, number)
  const rendering = metrics.expose()
  setImmediate(() => {
    for (let number = 0; number < 50_000; number += 2) gauge.remove({ number })
    metrics.registry.removeSingleMetric('g')
    gauge.reset()
  })
  t.match((await rendering).body.toString(), /^g\{number="49999"\} (49999|0)$/m)
  t.notMatch((await metrics.expose()).body.toString(), 'g{number')
})

t.test('a series that is removed and made again during rendering appears once', async (t) => {
  const { metrics } = await build(t, { maxSeries: Infinity })
  const gauge = metrics.gauge({ name: 'g', help: 'G.', labelNames: ['number'] })
  for (let number = 0; number < 50_000; number += 1) gauge.set({ number }, number)
  const rendering = metrics.expose()
  setImmediate(() => {
    gauge.remove({ number: 0 })
    gauge.set({ number: 0 }, 7)
  })
  t.equal((await rendering).body.toString().match(/^g\{number="0"\}/gm)?.length, 1)
  t.match((await metrics.expose()).body.toString(), /^g\{number="0"\} 7$/m)
})

t.test('generated expositions read back unchanged by the strict parser, promtool and a real Prometheus', async (t) => {
  const tools = await Promise.all([openmetricsParser, promtool, prometheus].map((get) => toolOrSkip(t, get)))
  const all = await generate(100, 20, Object.values(CLIENTS))
  const proofs = [proveByStrictParser, proveByPromtool, proveByPrometheus]
  const losses = await Promise.all(proofs.map((prove, index) => (tools[index] ? prove(tools[index], all) : [])))
  for (const [index, { name }] of proofs.entries()) t.same(losses[index], [], name)
})

t.test('metrics that OpenMetrics forbids are exposed there as unknown, with the same samples', async (t) => {
  const app = await build(t)
  const { metrics } = app
  metrics.counter({ name: 'no_suffix', help: 'C.' }).inc({ value: 2, exemplarLabels: { a: 'b' } })
  metrics.gauge({ name: 'jobs', help: 'G.' }).set(3)
  metrics.counter({ name: 'jobs_total', help: 'C.', labelNames: ['a'] }).inc({ a: '1' })
  const below = metrics.histogram({ name: 'below', help: 'H.', buckets: [1], labelNames: ['a'] })
  below.observe({ value: -2, exemplarLabels: { a: 'b' } })
  below.observe({ a: 'fine' }, 1)
  metrics.histogram({ name: 'negative', help: 'H.', buckets: [-1] }).observe(5)
  metrics.counter({ name: 'fine_sum_total', help: 'C.' })
  metrics.histogram({ name: 'fine', help: 'H.', buckets: [] })
  const open = await scrape(app, { accept: OPEN_METRICS })
  t.same(lines(open, 'no_suffix'), ['# HELP no_suffix C.', '# TYPE no_suffix unknown', 'no_suffix 2'])
  t.same(lines(open, 'jobs'), [
    ...['# HELP jobs G.', '# TYPE jobs gauge', 'jobs 3'],
    ...['# HELP jobs_total C.', '# TYPE jobs_total unknown', 'jobs_total{a="1"} 1'],
  ])
  // The type of a histogram stays, whatever is observed; a sum below zero is left out with its count.
  t.match(lines(open, 'below'), [
    ...['# HELP below H.', '# TYPE below histogram'],
    ...[/^below_bucket\{a="",le="1\.0"\} 1 # \{a="b"\} -2 /, 'below_bucket{a="",le="+Inf"} 1'],
    ...['below_bucket{a="fine",le="1.0"} 1', 'below_bucket{a="fine",le="+Inf"} 1'],
    ...['below_sum{a="fine"} 1', 'below_count{a="fine"} 1'],
  ])
  t.match(lines(open, 'negative_sum'), [/HELP/, /unknown/, 'negative_sum 5'])
  t.match(lines(open, 'fine_sum_total'), [/HELP/, /unknown/, 'fine_sum_total 0'])
  const text = await scrape(app)
  t.match(lines(text, 'jobs_total')[1], 'counter')
  t.match(lines(text, 'below')[1], 'histogram')
  await assertParses(t, open)
})

t.test('metrics exposed as unknown are written series by series, not described as a whole', async (t) => {
  const { metrics } = await build(t)
  const counter = metrics.counter({ name: 'no_suffix', help: 'C.', labelNames: ['a'] })
  const histogram = metrics.histogram({ name: 'below', help: 'H.', labelNames: ['a'], buckets: [-1] })
  for (const a of ['x', 'y']) {
    counter.inc({ a })
    histogram.observe({ a }, -1)
  }
  for (const instrument of [counter, histogram]) {
    // With many series this would block the event loop.
    instrument.describe = () => {
      throw new Error(`${instrument.name} was described`)
    }
  }
  const { body } = await metrics.expose({ accept: OPEN_METRICS, names: ['no_suffix', 'below'] })
  t.same(lines(body.toString(), 'no_suffix{'), ['no_suffix{a="x"} 1', 'no_suffix{a="y"} 1'])
  t.same(lines(body.toString(), 'below_count{'), ['below_count{a="x"} 1', 'below_count{a="y"} 1'])
})
