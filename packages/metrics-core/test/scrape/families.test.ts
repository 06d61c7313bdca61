import Fastify from 'fastify'
import t from 'tap'
import { metricsCore } from '../../src/index.ts'
import { assertParses, CLIENTS } from '../clients.ts'
import { build, lines, OPEN_METRICS, scrape } from '../helpers.ts'

/** Sorts the labels of a sample line: the clients order them differently. */
function sortLabels(line: string): string {
  return line.replace(/\{(.*)\}/, (_, labels) => `{${labels.split(',').sort()}}`)
}

for (const [name, client] of Object.entries(CLIENTS)) {
  t.test(
    `${name}: metrics of the client's own classes are exposed beside ours, and every parser reads the whole`,
    async (t) => {
      const registry = new client.Registry()
      client.collectDefaultMetrics({ register: registry })
      const app = await build(t, { registry, defaultMetrics: true })
      const labels = { labelNames: ['a'], registers: [registry] }
      new client.Counter({ name: 'their_total', help: 'Theirs.', ...labels }).inc({ a: 'x"\n\\' }, 3)
      new client.Gauge({
        name: 'their_level',
        help: 'Theirs.',
        ...labels,
        collect() {
          this.set({ a: '1' }, 7)
        },
      })
      const histogram = new client.Histogram({ name: 'their_seconds', help: 'Theirs.', buckets: [1, 1e6], ...labels })
      histogram.observe({ a: '1' }, 2)
      const summary = new client.Summary({ name: 'their_size', help: 'Theirs.', percentiles: [0.5, 0.999], ...labels })
      summary.observe({ a: '1' }, 4)
      app.metrics.counter({ name: 'our_total', help: 'Ours.' }).inc()

      const text = await scrape(app)
      t.same(lines(text, 'their_total').slice(1), ['# TYPE their_total counter', 'their_total{a="x\\"\\n\\\\"} 3'])
      t.same(lines(text, 'their_level').slice(1), ['# TYPE their_level gauge', 'their_level{a="1"} 7'])
      t.same(lines(text, 'their_seconds').slice(2).map(sortLabels), [
        ...['their_seconds_bucket{a="1",le="1.0"} 0', 'their_seconds_bucket{a="1",le="1e+06"} 1'],
        ...['their_seconds_bucket{a="1",le="+Inf"} 1', 'their_seconds_sum{a="1"} 2', 'their_seconds_count{a="1"} 1'],
      ])
      t.same(lines(text, 'their_size').slice(2).map(sortLabels), [
        ...['their_size{a="1",quantile="0.5"} 4', 'their_size{a="1",quantile="0.999"} 4'],
        ...['their_size_sum{a="1"} 4', 'their_size_count{a="1"} 1'],
      ])
      t.same(lines(text, 'our_total').slice(1), ['# TYPE our_total counter', 'our_total 1'])
      t.equal(lines(text, 'process_cpu_user_seconds_total').length, 3, "the client's default metrics appear once")

      const open = await scrape(app, { accept: OPEN_METRICS })
      t.same(lines(open, 'their_total'), ['their_total{a="x\\"\\n\\\\"} 3'])
      t.same(lines(open, 'their '), ['# HELP their Theirs.', '# TYPE their counter'])
      t.same(await scrape(app).then((again) => lines(again, 'their_')), lines(text, 'their_'), 'nothing was renamed')
      t.equal(registry.getSingleMetric('their_total') instanceof client.Counter, true)
      t.match(await registry.getSingleMetricAsString('their_total'), 'their_total{a="x\\"\\n\\\\"} 3')

      await assertParses(t, open)
    },
  )

  t.test(`${name}: exemplars of the client appear in OpenMetrics`, async (t) => {
    const registry = new client.Registry()
    registry.setContentType(client.Registry.OPENMETRICS_CONTENT_TYPE as never)
    const app = await build(t, { registry })
    const options = { help: 'Theirs.', enableExemplars: true, registers: [registry] }
    const counter = new client.Counter({ name: 'their_total', ...options })
    counter.inc({ value: 2, exemplarLabels: { trace_id: 'c"' } } as never)
    const histogram = new client.Histogram({ name: 'their_seconds', buckets: [1, 2], ...options })
    histogram.observe({ value: 1.5, exemplarLabels: { trace_id: 'h' } } as never)
    const open = await scrape(app, { accept: OPEN_METRICS })
    t.match(lines(open, 'their_total')[0], /^their_total 2 # \{trace_id="c_"\} 2 [\d.]+$/)
    t.match(lines(open, 'their_seconds_bucket'), [
      /le="1.0"\} 0$/,
      /le="2.0"\} 1 # \{trace_id="h"\} 1.5 [\d.]+$/,
      /\} 1$/,
    ])
    t.notMatch(await scrape(app), 'trace_id')
    await assertParses(t, open)
  })

  t.test(
    `${name}: counters keep their names after the client's own OpenMetrics rendering has renamed them`,
    async (t) => {
      const registry = new client.Registry()
      const app = await build(t, { registry })
      new client.Counter({ name: 'their_total', help: 'Theirs.', registers: [registry] }).inc(2)
      const counter = app.metrics.counter({ name: 'our_total', help: 'Ours.' })
      counter.inc()
      registry.setContentType(client.Registry.OPENMETRICS_CONTENT_TYPE as never)
      t.match(await registry.metrics(), /^our_total 1$/m, "the client's own rendering of our counter is right")
      counter.inc()
      for (const accept of [OPEN_METRICS, undefined]) {
        const text = await scrape(app, accept === undefined ? {} : { accept })
        t.same(lines(text, 'our_total').at(-1), 'our_total 2')
        t.same(lines(text, 'their_total').at(-1), 'their_total 2')
      }
      t.match(lines(await scrape(app), 'their_total')[1], '# TYPE their_total counter')
      const { body } = await app.inject('/metrics?name[]=our_total&name[]=their_total')
      t.equal(body.split('\n').length, 7, 'and both can be selected by name')
    },
  )

  t.test(`${name}: default labels of the registry are on every series, whenever they were set`, async (t) => {
    const registry = new client.Registry()
    registry.setDefaultLabels({ zone: 'before', a: 'never seen' })
    const app = await build(t, { registry, labels: { env: 'test' } })
    new client.Gauge({ name: 'their_level', help: 'Theirs.', labelNames: ['a'], registers: [registry] }).set(
      { a: '1' },
      7,
    )
    const gauge = app.metrics.gauge({ name: 'our_level', help: 'Ours.', labelNames: ['a'] })
    const histogram = app.metrics.histogram({ name: 'our_size', help: 'Ours.', buckets: [] })
    gauge.set({ a: '1' }, 8)
    histogram.observe(1)
    const expect = async (zone: string) => {
      const text = await scrape(app)
      for (const line of [...lines(text, 'their_level{'), ...lines(text, 'our_level{')]) {
        t.match(line, /^[^{]*\{(?=.*\ba="1")(?=.*\benv="test")/)
        t.match(line, zone)
        t.equal(line.split('",').length, 3 + Number(zone.includes(',')), line)
      }
      for (const line of lines(text, 'our_size_')) t.ok(line.includes(zone.split(',')[0]!), line)
      t.equal(lines(text, 'their_level{').length + lines(text, 'our_level{').length, 2)
    }
    await expect('zone="before"')
    registry.setDefaultLabels({ zone: 'after', a: 'never seen' })
    await expect('zone="after"')
    await expect('zone="after"')
    registry.setDefaultLabels({ rack: '7', a: 'never seen' })
    await expect('rack="7"')
    t.notMatch(await scrape(app), 'zone=')
  })

  t.test(`${name}: the client's own rendering of a registry contains our instruments`, async (t) => {
    const registry = new client.Registry()
    const { metrics } = await build(t, { registry })
    const counter = metrics.counter({ name: 'our_total', help: 'Ours.', labelNames: ['a'] })
    counter.inc({ labels: { a: 'x' }, value: 2 })
    metrics.histogram({ name: 'our_size', help: 'Ours.', buckets: [1] }).observe(3)
    const level = metrics.gauge({ name: 'our_level', help: 'Ours.', aggregator: 'max' })
    metrics.collector('level', () => level.set(5))
    t.equal(registry.getSingleMetric('our_total'), counter)
    const text = await registry.metrics()
    t.match(text, /^# HELP our_total Ours\.\n# TYPE our_total counter\nour_total\{a="x"\} 2$/m)
    t.match(
      text,
      /^our_size_bucket\{le="1\.0"\} 0\nour_size_bucket\{le="\+Inf"\} 1\nour_size_sum 3\nour_size_count 1$/m,
    )
    t.match(text, /^our_level 5$/m, 'collectors also run for the client')
    t.match(await registry.getSingleMetricAsString('our_level'), /our_level 5$/)
    const json = new Map((await registry.getMetricsAsJSON()).map((family) => [family.name, family]))
    t.match(json.get('our_total'), { type: 'counter', aggregator: 'sum', values: [{ labels: { a: 'x' }, value: 2 }] })
    t.match(json.get('our_level'), { type: 'gauge', aggregator: 'max', values: [{ labels: {}, value: 5 }] })
    t.match(json.get('our_size'), {
      type: 'histogram',
      values: [
        { metricName: 'our_size_bucket', labels: { le: 1 }, value: 0 },
        { metricName: 'our_size_bucket', labels: { le: '+Inf' }, value: 1 },
        { metricName: 'our_size_sum', value: 3 },
        { metricName: 'our_size_count', value: 1 },
      ],
    })

    const other = new client.Registry()
    new client.Counter({ name: 'their_total', help: 'Theirs.', registers: [other] }).inc()
    const merged = client.Registry.merge([registry, other])
    t.match(await merged.metrics(), /our_total\{a="x"\} 2[\s\S]*their_total 1/)
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(metricsCore, { registry: client.Registry.merge([other]), defaultMetrics: false })
    app.metrics.registry.registerMetric(level)
    level.set(0)
    t.match(await scrape(app), /^our_level 5$/m, 'the collectors of an instrument run for any registry that holds it')

    const snapshots = [await registry.getMetricsAsJSON(), await registry.getMetricsAsJSON()]
    const sums = await client.AggregatorRegistry.aggregate(snapshots as never).metrics()
    t.match(sums, /^our_total\{a="x"\} 4$/m)
    t.match(sums, /^our_size_count 2$/m)
    t.match(sums, /^our_level 5$/m)
  })
}
