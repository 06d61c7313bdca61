import t from 'tap'
import { assertParses } from '../clients.ts'
import { build, lines, OPEN_METRICS, scrape } from '../helpers.ts'

t.test('metrics that OpenMetrics forbids are exposed there as unknown, with the same samples', async (t) => {
  const app = await build(t)
  const { metrics } = app
  metrics.counter({ name: 'no_suffix', help: 'C.' }).inc({ value: 2, exemplarLabels: { a: 'b' } })
  metrics.gauge({ name: 'jobs', help: 'G.' }).set(3)
  metrics.counter({ name: 'jobs_total', help: 'C.', labelNames: ['a'] }).inc({ a: '1' })
  metrics.histogram({ name: 'below', help: 'H.', buckets: [1] }).observe({ value: -2, exemplarLabels: { a: 'b' } })
  metrics.histogram({ name: 'negative', help: 'H.', buckets: [-1] }).observe(5)
  metrics.counter({ name: 'fine_sum_total', help: 'C.' })
  metrics.histogram({ name: 'fine', help: 'H.', buckets: [] })
  const open = await scrape(app, { accept: OPEN_METRICS })
  t.same(lines(open, 'no_suffix'), ['# HELP no_suffix C.', '# TYPE no_suffix unknown', 'no_suffix 2'])
  t.same(lines(open, 'jobs'), [
    ...['# HELP jobs G.', '# TYPE jobs gauge', 'jobs 3'],
    ...['# HELP jobs_total C.', '# TYPE jobs_total unknown', 'jobs_total{a="1"} 1'],
  ])
  t.same(lines(open, 'below'), [
    ...['# HELP below_bucket H.', '# TYPE below_bucket unknown'],
    ...['below_bucket{le="1.0"} 1', 'below_bucket{le="+Inf"} 1'],
    ...['# HELP below_sum H.', '# TYPE below_sum unknown', 'below_sum -2'],
    ...['# HELP below_count H.', '# TYPE below_count unknown', 'below_count 1'],
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
  const histogram = metrics.histogram({ name: 'below', help: 'H.', labelNames: ['a'], buckets: [1] })
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
