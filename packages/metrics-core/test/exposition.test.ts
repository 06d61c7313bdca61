import { gunzipSync } from 'node:zlib'
import { openmetricsParser, prometheus, promtool, runTool, toolOrSkip } from '@data20/dev-services'
import * as successor from '@prometheus-io/client'
import Fastify, { type FastifyInstance } from 'fastify'
import * as promClient from 'prom-client'
import t, { type Test } from 'tap'
import { type Client, generate } from '../soak/generate.ts'
import { proveByPrometheus, proveByPromtool, proveByStrictParser } from '../soak/proof.ts'
import { LONGEST_NUMBER, writeNumber } from '../src/encoding/decimal.ts'
import { type MetricsCoreOptions, metricsCore } from '../src/index.ts'

const CLIENTS: Record<string, Client> = {
  'prom-client': promClient,
  '@prometheus-io/client': successor as unknown as Client,
}
const TEXT = 'text/plain; version=0.0.4; charset=utf-8'
const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

async function build(t: Test, options: MetricsCoreOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(metricsCore, { defaultMetrics: false, app: { name: 'test', version: '1' }, ...options })
  return app
}

async function scrape(app: FastifyInstance, accept?: string): Promise<string> {
  const { statusCode, body } = await app.inject({ url: '/metrics', headers: accept ? { accept } : {} })
  if (statusCode !== 200) throw new Error(`Expected 200, got ${statusCode}: ${body}`)
  return body
}

/** The lines of an exposition that begin so, comments included. */
function lines(text: string, prefix: string): string[] {
  return text.split('\n').filter((line) => line.replace(/^# (HELP|TYPE|UNIT) /, '').startsWith(prefix))
}

t.test('the format is the one that the Accept header prefers, under its exact content type', async (t) => {
  const app = await build(t)
  const cases: Array<[string | undefined, string]> = [
    // Prometheus 2.42, 2.53 and 3.5, as they send it.
    [
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
      OPEN_METRICS,
    ],
    [
      'application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
      OPEN_METRICS,
    ],
    [
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
      OPEN_METRICS,
    ],
    // Prometheus with protobuf first.
    [
      'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3',
      OPEN_METRICS,
    ],
    [undefined, TEXT],
    ['*/*', TEXT],
    ['text/html,application/xhtml+xml,*/*;q=0.8', TEXT],
    ['application/json', TEXT],
    ['text/plain;version=0.0.4', TEXT],
    ['text/plain', TEXT],
    ['text/*', TEXT],
    ['application/openmetrics-text', OPEN_METRICS],
    ['Application/OpenMetrics-Text; Version="1.0.0"', OPEN_METRICS],
    ['application/openmetrics-text;version=2.0.0', TEXT],
    ['application/openmetrics-text;q=0.3, text/plain;q=0.5', TEXT],
    ['text/plain;q=0.3, application/openmetrics-text;q=0.5', OPEN_METRICS],
    ['application/openmetrics-text;q=0', TEXT],
    ['application/openmetrics-text;q=nonsense, text/plain;q=0.1', TEXT],
    ['text/plain, application/openmetrics-text', TEXT],
    [', ;;, =', TEXT],
  ]
  for (const [accept, contentType] of cases) {
    const response = await app.inject({ url: '/metrics', headers: accept === undefined ? {} : { accept } })
    t.equal(response.headers['content-type'], contentType, accept ?? 'no header')
    t.equal(response.body.endsWith('# EOF\n'), contentType === OPEN_METRICS)
  }
})

t.test('text 0.0.4 and OpenMetrics are written to the letter', async (t) => {
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

t.test('what OpenMetrics forbids is exposed there as unknown, with the same samples', async (t) => {
  const app = await build(t)
  const { metrics } = app
  metrics.counter({ name: 'no_suffix', help: 'C.' }).inc({ value: 2, exemplarLabels: { a: 'b' } })
  metrics.gauge({ name: 'jobs', help: 'G.' }).set(3)
  metrics.counter({ name: 'jobs_total', help: 'C.', labelNames: ['a'] }).inc({ a: '1' })
  metrics.histogram({ name: 'below', help: 'H.', buckets: [1] }).observe({ value: -2, exemplarLabels: { a: 'b' } })
  metrics.histogram({ name: 'negative', help: 'H.', buckets: [-1] }).observe(5)
  metrics.counter({ name: 'fine_sum_total', help: 'C.' })
  metrics.histogram({ name: 'fine', help: 'H.', buckets: [] })
  const open = await scrape(app, OPEN_METRICS)
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
  const parser = await toolOrSkip(t, openmetricsParser)
  if (parser) t.match(await runTool(parser, [], { input: open }), { code: 0, stderr: '' })
})

for (const [name, client] of Object.entries(CLIENTS)) {
  t.test(
    `${name}: a registry of the client holds its own metrics beside ours, and all parsers take the whole`,
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
      t.same(
        lines(text, 'their_seconds')
          .slice(2)
          .map((line) => line.replace(/\{(.*)\}/, (_, labels) => `{${labels.split(',').sort()}}`)),
        [
          ...['their_seconds_bucket{a="1",le="1.0"} 0', 'their_seconds_bucket{a="1",le="1e+06"} 1'],
          ...['their_seconds_bucket{a="1",le="+Inf"} 1', 'their_seconds_sum{a="1"} 2', 'their_seconds_count{a="1"} 1'],
        ],
      )
      t.same(
        lines(text, 'their_size')
          .slice(2)
          .map((line) => line.replace(/\{(.*)\}/, (_, labels) => `{${labels.split(',').sort()}}`)),
        [
          ...['their_size{a="1",quantile="0.5"} 4', 'their_size{a="1",quantile="0.999"} 4'],
          ...['their_size_sum{a="1"} 4', 'their_size_count{a="1"} 1'],
        ],
      )
      t.same(lines(text, 'our_total').slice(1), ['# TYPE our_total counter', 'our_total 1'])
      t.equal(lines(text, 'process_cpu_user_seconds_total').length, 3, 'the defaults of the client are there once')

      const open = await scrape(app, OPEN_METRICS)
      t.same(lines(open, 'their_total'), ['their_total{a="x\\"\\n\\\\"} 3'])
      t.same(lines(open, 'their '), ['# HELP their Theirs.', '# TYPE their counter'])
      t.same(await scrape(app).then((again) => lines(again, 'their_')), lines(text, 'their_'), 'nothing was renamed')
      t.equal(registry.getSingleMetric('their_total') instanceof client.Counter, true)
      t.match(await registry.getSingleMetricAsString('their_total'), 'their_total{a="x\\"\\n\\\\"} 3')

      const parser = await toolOrSkip(t, openmetricsParser)
      if (parser) t.match(await runTool(parser, [], { input: open }), { code: 0, stderr: '' })
    },
  )

  t.test(`${name}: exemplars of the client show in OpenMetrics`, async (t) => {
    const registry = new client.Registry()
    registry.setContentType(client.Registry.OPENMETRICS_CONTENT_TYPE as never)
    const app = await build(t, { registry })
    const options = { help: 'Theirs.', enableExemplars: true, registers: [registry] }
    const counter = new client.Counter({ name: 'their_total', ...options })
    counter.inc({ value: 2, exemplarLabels: { trace_id: 'c"' } } as never)
    const histogram = new client.Histogram({ name: 'their_seconds', buckets: [1, 2], ...options })
    histogram.observe({ value: 1.5, exemplarLabels: { trace_id: 'h' } } as never)
    const open = await scrape(app, OPEN_METRICS)
    t.match(lines(open, 'their_total')[0], /^their_total 2 # \{trace_id="c\\""\} 2 [\d.]+$/)
    t.match(lines(open, 'their_seconds_bucket'), [
      /le="1.0"\} 0$/,
      /le="2.0"\} 1 # \{trace_id="h"\} 1.5 [\d.]+$/,
      /\} 1$/,
    ])
    t.notMatch(await scrape(app), 'trace_id')
    const parser = await toolOrSkip(t, openmetricsParser)
    if (parser) t.match(await runTool(parser, [], { input: open }), { code: 0, stderr: '' })
  })

  t.test(
    `${name}: counters that the client's own OpenMetrics rendering has renamed keep their names here`,
    async (t) => {
      const registry = new client.Registry()
      const app = await build(t, { registry })
      new client.Counter({ name: 'their_total', help: 'Theirs.', registers: [registry] }).inc(2)
      const counter = app.metrics.counter({ name: 'our_total', help: 'Ours.' })
      counter.inc()
      registry.setContentType(client.Registry.OPENMETRICS_CONTENT_TYPE as never)
      t.match(await registry.metrics(), /^our_total 1$/m, 'the client renders ours right')
      counter.inc()
      for (const accept of [OPEN_METRICS, undefined]) {
        const text = await scrape(app, accept)
        t.same(lines(text, 'our_total').at(-1), 'our_total 2')
        t.same(lines(text, 'their_total').at(-1), 'their_total 2')
      }
      t.match(lines(await scrape(app), 'their_total')[1], '# TYPE their_total counter')
      const { body } = await app.inject('/metrics?name[]=our_total&name[]=their_total')
      t.equal(body.split('\n').length, 7, 'and can be asked for by name')
    },
  )

  t.test(`${name}: default labels of the registry are on every series, whether set before or after`, async (t) => {
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

  t.test(`${name}: our instruments show in what the client's registry gives`, async (t) => {
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
    t.match(text, /^our_size_bucket\{le="1"\} 0\nour_size_bucket\{le="\+Inf"\} 1\nour_size_sum 3\nour_size_count 1$/m)
    t.match(text, /^our_level 5$/m, 'collectors run for the client too')
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
    t.match(await scrape(app), /^our_level 5$/m, 'an instrument brings its collectors into another registry')

    const snapshots = [await registry.getMetricsAsJSON(), await registry.getMetricsAsJSON()]
    const sums = await client.AggregatorRegistry.aggregate(snapshots as never).metrics()
    t.match(sums, /^our_total\{a="x"\} 4$/m)
    t.match(sums, /^our_size_count 2$/m)
    t.match(sums, /^our_level 5$/m)
  })

  t.test(`${name}: metrics of the client that throw, hang or answer nonsense do not harm a scrape`, async (t) => {
    const registry = new client.Registry()
    const app = await build(t, { registry, collectorTimeoutMs: 50 })
    let mode = 'fine'
    const options = (name: string, collect: () => unknown) => ({
      name,
      help: 'Theirs.',
      registers: [registry],
      collect: collect as never,
    })
    const throws = new client.Gauge(
      options('their_throw', () => {
        if (mode !== 'fine') throw new Error('broken')
      }),
    )
    const hangs = new client.Gauge(options('their_hang', () => (mode === 'fine' ? undefined : new Promise(() => {}))))
    throws.set(1)
    hangs.set(2)
    const add = (name: string, get: () => unknown) =>
      registry.registerMetric({ name, help: 'H.', type: 'gauge', get, reset() {} } as never)
    add('throws_synchronously', () => {
      throw new Error('at once')
    })
    add('no_values', () => undefined)
    add('odd_values', () => ({
      name: 'odd_values',
      help: 5,
      type: 'gauge',
      values: [{ value: undefined }, { value: '4', labels: { a: null } }],
    }))
    t.match(await scrape(app), /^their_throw 1$[\s\S]*^their_hang 2$/m)
    mode = 'broken'
    const text = await scrape(app)
    t.match(text, /^their_throw 1$[\s\S]*^their_hang 2$/m, 'the last good values')
    t.match(text, /^odd_values NaN\nodd_values\{a=""\} 4$/m)
    for (const collector of ['their_throw', 'their_hang', 'throws_synchronously', 'no_values']) {
      t.match(await scrape(app), `metrics_collector_success{collector="${collector}"} 0`)
    }
    registry.removeSingleMetric('their_throw')
    t.notMatch(await scrape(app), 'their_throw', 'what was removed is not failing')
    registry.registerMetric(throws)
    t.match(await scrape(app), 'metrics_collector_success{collector="their_throw"} 0')
  })
}

t.test(
  'generated expositions come out of the strict parser, of promtool and of a real Prometheus as they went in',
  async (t) => {
    const tools = await Promise.all([openmetricsParser, promtool, prometheus].map((get) => toolOrSkip(t, get)))
    const all = await generate(100, 20, Object.values(CLIENTS))
    const proofs = [proveByStrictParser, proveByPromtool, proveByPrometheus]
    const losses = await Promise.all(proofs.map((prove, index) => (tools[index] ? prove(tools[index], all) : [])))
    for (const [index, { name }] of proofs.entries()) t.same(losses[index], [], name)
  },
)

t.test('promtool finds nothing to say about our own metrics', async (t) => {
  const linter = await toolOrSkip(t, promtool)
  const app = await build(t, { defaultMetrics: true })
  if (linter)
    t.match(await runTool(linter, ['check', 'metrics'], { input: await scrape(app) }), { code: 0, stderr: '' })
})

t.test('every number is read back as it is, and looks like itself where 15 digits are enough', async (t) => {
  const bytes = Buffer.alloc(LONGEST_NUMBER)
  const text = (value: number) => bytes.toString('latin1', 0, writeNumber(bytes, 0, value))
  const bits = new DataView(new ArrayBuffer(8))
  const neighbours = (value: number) => {
    bits.setFloat64(0, value)
    const pattern = bits.getBigInt64(0)
    return [-1n, 0n, 1n].map((step) => {
      bits.setBigInt64(0, pattern + step)
      return bits.getFloat64(0)
    })
  }
  const borders = [-8, -1, 0, 10, 26, 30, 31, 32, 52, 53, 54].map((power) => 2 ** power)
  for (let power = -9; power < 23; power += 1) borders.push(10 ** power, 10 ** power - 1, 10 ** power - 0.5)
  const values = [0, -0, 5e-324, Number.MAX_VALUE, 0.1 + 0.2, 123.456, ...borders.flatMap(neighbours)]
  for (let round = 0; round < 50_000; round += 1) {
    const random = Math.random()
    bits.setUint32(0, Math.random() * 2 ** 32)
    bits.setUint32(4, Math.random() * 2 ** 32)
    values.push(random, random * 10 ** Math.floor(Math.random() * 17), Math.floor(random * 2 ** 53), bits.getFloat64(0))
  }
  const differing = values.filter((value) => !Number.isNaN(value) && Number(text(value)) !== value)
  t.strictSame(differing.slice(0, 10), [])
  const oneSided = values.filter((value) => value > 0 && text(-value) !== `-${text(value)}`)
  t.strictSame(oneSided.slice(0, 10), [])
  t.strictSame([NaN, Infinity, -Infinity].map(text), ['NaN', '+Inf', '-Inf'])
  for (let round = 0; round < 50_000; round += 1) {
    const short = Math.floor(Math.random() * 1e15) / 10 ** Math.floor(Math.random() * 15)
    if (text(short) !== `${short}`) return t.equal(text(short), `${short}`)
  }
})

t.test('labels are copied as they are, whichever bytes meet in a word', async (t) => {
  const { metrics } = await build(t, { maxSeries: Infinity })
  const gauge = metrics.gauge({ name: 'g', help: 'G.', labelNames: ['text'] })
  const histogram = metrics.histogram({ name: 'h', help: 'H.', labelNames: ['text'], buckets: [1] })
  const texts: string[] = []
  for (const one of ['\x7f', '\u{10ffff}', '\x7f\u{10ffff}', '\u{10ffff}\x7f', '\uffff\x7f', 'é\x7fé', '\xff']) {
    for (let before = 0; before < 9; before += 1) {
      for (let after = 0; after < 9; after += 1) texts.push('a'.repeat(before) + one + 'b'.repeat(after))
    }
  }
  for (const text of texts) {
    gauge.set({ text }, 1)
    histogram.observe({ text }, 1)
  }
  const body = (await metrics.expose()).body.toString()
  for (const text of texts) {
    for (const line of [`g{text="${text}"} 1`, `h_bucket{text="${text}",le="+Inf"} 1`, `h_sum{text="${text}"} 1`]) {
      if (!body.includes(`${line}\n`)) return t.fail(line)
    }
  }
  t.equal(body.split('\n').filter((line) => /^[gh]/.test(line)).length, texts.length * 5)
})

t.test('a large registry is rendered in turns with other work, and completely', async (t) => {
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
  t.ok(turns > without + 3, `${turns} turns beside ${without} of a small one`)
  t.equal(body.toString().split('\n').length, 300_000 + 1 + 3)
})

t.test('what is exposed as unknown is written series by series, not described as a whole', async (t) => {
  const { metrics } = await build(t)
  const counter = metrics.counter({ name: 'no_suffix', help: 'C.', labelNames: ['a'] })
  const histogram = metrics.histogram({ name: 'below', help: 'H.', labelNames: ['a'], buckets: [1] })
  for (const a of ['x', 'y']) {
    counter.inc({ a })
    histogram.observe({ a }, -1)
  }
  for (const instrument of [counter, histogram]) {
    // Of many series it takes a whole turn of the event loop.
    instrument.describe = () => {
      throw new Error(`${instrument.name} was described`)
    }
  }
  const { body } = await metrics.expose({ accept: OPEN_METRICS, names: ['no_suffix', 'below'] })
  t.same(lines(body.toString(), 'no_suffix{'), ['no_suffix{a="x"} 1', 'no_suffix{a="y"} 1'])
  t.same(lines(body.toString(), 'below_count{'), ['below_count{a="x"} 1', 'below_count{a="y"} 1'])
})

t.test('labels named le and quantile are bounds of histograms and summaries alone', async (t) => {
  const registry = new promClient.Registry()
  const app = await build(t, { registry })
  const level = new promClient.Gauge({
    name: 'level',
    help: 'L.',
    labelNames: ['quantile', 'le'],
    registers: [registry],
  })
  level.set({ quantile: '0.50', le: '007' }, 1)
  level.set({ quantile: '0.5', le: '' }, 2)
  new promClient.Histogram({ name: 'below', help: 'B.', buckets: [5], registers: [registry] }).observe(-1)
  new promClient.Summary({ name: 'size', help: 'S.', percentiles: [1], registers: [registry] }).observe(3)
  for (const accept of [undefined, OPEN_METRICS]) {
    const text = await scrape(app, accept)
    t.match(text, 'level{quantile="0.50",le="007"} 1\n')
    t.match(text, 'level{quantile="0.5",le=""} 2\n')
    t.match(text, 'below_bucket{le="5.0"} 1\n')
    t.match(text, 'size{quantile="1.0"} 3\n')
  }
})

t.test('metrics that are removed while an exposition is rendered do not harm it', async (t) => {
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

t.test('a series that is removed and made anew while an exposition is rendered is in it once', async (t) => {
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

t.test('gzip is used from 1 kB on when it is asked for', async (t) => {
  const app = await build(t)
  const get = (encoding: string, url = '/metrics') => app.inject({ url, headers: { 'accept-encoding': encoding } })
  for (const encoding of ['gzip', 'deflate, gzip;q=0.5', '*', 'identity;q=0.5, *;q=0.1']) {
    const { headers, rawPayload } = await get(encoding)
    t.match(headers, { 'content-encoding': 'gzip', 'content-type': TEXT, vary: 'accept, accept-encoding' }, encoding)
    t.match(gunzipSync(rawPayload).toString(), 'app_info{')
  }
  for (const encoding of ['', 'identity', 'br', 'gzip;q=0', 'gzip;q=0, *']) {
    const { headers, body } = await get(encoding)
    t.notOk(headers['content-encoding'], encoding)
    t.match(body, 'app_info{')
  }
  t.notOk((await get('gzip', '/metrics?name[]=app_info')).headers['content-encoding'], 'below 1 kB it is not')
})
