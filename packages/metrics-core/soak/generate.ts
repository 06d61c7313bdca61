/**
 * Generates random metrics with the real instruments and with a Prometheus client, and the samples that every parser
 * has to read.
 *
 * @module
 */
import fc from 'fast-check'
import Fastify from 'fastify'
import type * as promClient from 'prom-client'
import { type Exposition, type Metrics, metricsCore } from '../src/index.ts'

/** prom-client 15 or `@prometheus-io/client`. */
export type Client = typeof promClient

/** One sample as any parser returns it: without empty labels, `le` and `quantile` as numbers. */
export interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

/** One generated exposition in both formats, with its samples. */
export interface Generated {
  text: Exposition
  openMetrics: Exposition
  samples: Sample[]
  /** Help texts by family name, as OpenMetrics has them. */
  help: Record<string, string>
}

interface Model {
  constantLabels: Record<string, string>
  instruments: InstrumentModel[]
  foreign: InstrumentModel[]
}

interface InstrumentModel {
  type: 'counter' | 'gauge' | 'histogram' | 'summary'
  name: string
  help: string
  labelNames: string[]
  buckets: number[]
  observations: Array<{ labels: string[]; value: number; exemplar: string | undefined }>
}

/** Names that Prometheus or the proof itself adds to the samples of a target. */
const TAKEN = /^(le|quantile|job|instance|soak_\w+|up|scrape_\w+|__.*)$/

const metricName = fc.stringMatching(/^[a-zA-Z_:][a-zA-Z0-9_:]{0,24}$/).filter((name) => !TAKEN.test(name))
const labelName = fc
  .oneof(fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,8}$/), fc.constantFrom('constructor', 'toString', 'a', 'lf', 'ld'))
  .filter((name) => !TAKEN.test(name))
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({ maxLength: 12 }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 4 }).map((units) => String.fromCharCode(...units)),
  fc
    .array(
      fc.constantFrom('"', '\\', '\n', '\r', ',', '|', '=', '{', '}', '\0', '\ufffd', '\ud800', 'fffd', '0000', ' '),
      {
        maxLength: 6,
      },
    )
    .map((parts) => parts.join('')),
)
// Debian's parser ends the labels of an exemplar at the first }, even inside quotes.
const exemplarText = anyText.map((text) => text.replaceAll('}', ''))
const help = anyText.map((text) => text || 'Help.')
const finite = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer({ min: -3, max: 1e6 }))
const buckets = fc
  .uniqueArray(fc.oneof(finite, fc.constantFrom(0.005, 1, 10, 1e6, 1e-5, 1048576)), {
    maxLength: 5,
    comparator: 'SameValueZero',
  })
  .map((bounds) => bounds.sort((a, b) => a - b))

function instrument(
  types: Array<InstrumentModel['type']>,
  labelText: fc.Arbitrary<string>,
): fc.Arbitrary<InstrumentModel> {
  return fc
    .record({
      type: fc.constantFrom(...types),
      name: metricName,
      help,
      labelNames: fc.uniqueArray(labelName, { maxLength: 3 }),
      buckets,
    })
    .chain((base) =>
      fc.record({
        type: fc.constant(base.type),
        name: base.type === 'counter' ? fc.constantFrom(base.name, `${base.name}_total`) : fc.constant(base.name),
        help: fc.constant(base.help),
        labelNames: fc.constant(base.labelNames),
        buckets: fc.constant(base.buckets),
        observations: fc.array(
          fc.record({
            labels: fc.array(labelText, { minLength: base.labelNames.length, maxLength: base.labelNames.length }),
            value: base.type === 'gauge' ? fc.double() : base.type === 'counter' ? finite.map(Math.abs) : finite,
            exemplar: fc.option(exemplarText, { nil: undefined }),
          }),
          { maxLength: 5 },
        ),
      }),
    )
}

/** The clients merge label sets whose values contain their separators, so their values have none. */
const clientText = anyText.map((text) => text.replace(/[|,:\ud800-\udfff]/g, ''))

const model: fc.Arbitrary<Model> = fc.record({
  constantLabels: fc.dictionary(labelName, anyText, { maxKeys: 2 }),
  instruments: fc.array(instrument(['counter', 'gauge', 'histogram'], anyText), { minLength: 1, maxLength: 4 }),
  foreign: fc.array(instrument(['counter', 'gauge', 'histogram', 'summary'], clientText), { maxLength: 2 }),
})

/** Generates expositions, with each client in turn. Names are unique among all: they can be read as one text. */
export async function generate(count: number, seed: number, clients: Client[]): Promise<Generated[]> {
  const names = new Set<string>()
  const all: Generated[] = []
  for (const [index, one] of fc.sample(model, { numRuns: count, seed }).entries()) {
    all.push(await make(one, clients[index % clients.length]!, names, `_${index}`))
  }
  return all
}

async function make(model: Model, client: Client, names: Set<string>, suffix: string): Promise<Generated> {
  const { constantLabels, instruments, foreign } = model
  const registry = new client.Registry()
  const app = Fastify()
  await app.register(metricsCore, { registry, path: false, defaultMetrics: false, labels: constantLabels })
  const samples: Sample[] = []
  const help: Record<string, string> = {}
  for (const one of instruments.filter(takeName)) {
    samples.push(...observe(app.metrics, one, constantLabels))
    describe(one)
  }
  for (const one of foreign.filter(takeName)) {
    samples.push(...(await observeForeign(registry, client, one, constantLabels)))
    describe(one)
  }
  // Without the metrics of metrics-core itself.
  const own = { names: Object.keys(help) }
  const text = await app.metrics.expose(own)
  const openMetrics = await app.metrics.expose({ ...own, accept: 'application/openmetrics-text' })
  await app.close()
  return { text, openMetrics, samples, help }

  /** Returns false for a metric whose sample names another one has: metrics-core refuses it. */
  function takeName(one: InstrumentModel): boolean {
    if (names.has(one.name)) one.name = one.name.replace(/(_total)?$/, `${suffix}$1`)
    const own = [one.name, ...['_bucket', '_sum', '_count'].map((ending) => one.name + ending)]
    if (own.some((name) => names.has(name))) return false
    for (const name of own) names.add(name)
    return true
  }

  function describe({ name, help: text }: InstrumentModel): void {
    help[name] = text.replace(/[\0\p{Cs}]/gu, '\ufffd')
  }
}

/** Feeds a real instrument, and computes independently the samples that it must expose. */
function observe(metrics: Metrics, one: InstrumentModel, constantLabels: Record<string, string>): Sample[] {
  const { type, name, help, labelNames, buckets, observations } = one
  const series = new Map<string, { labels: Record<string, string>; values: number[] }>()
  if (labelNames.length === 0) series.set('[]', { labels: constantLabels, values: [] })
  for (const { labels, value } of observations) {
    const key = JSON.stringify(labels)
    const own = Object.fromEntries(labelNames.map((label, index) => [label, labels[index]!]))
    const known = series.get(key) ?? { labels: { ...constantLabels, ...own }, values: [] }
    series.set(key, known)
    known.values.push(value)
  }
  const options = { name, help, labelNames }
  if (type === 'counter') {
    const counter = metrics.counter<string>(options)
    for (const { labels, value, exemplar } of observations) {
      counter.labels(...labels).inc(value, exemplar === undefined ? undefined : { trace_id: exemplar })
    }
    return Array.from(series.values(), ({ labels, values }) =>
      sample(
        name,
        labels,
        values.reduce((a, b) => a + b, 0),
      ),
    )
  }
  if (type === 'gauge') {
    const gauge = metrics.gauge<string>(options)
    for (const { labels, value } of observations) gauge.labels(...labels).set(value)
    return Array.from(series.values(), ({ labels, values }) => sample(name, labels, values.at(-1) ?? 0))
  }
  const histogram = metrics.histogram<string>({ ...options, buckets })
  for (const { labels, value, exemplar } of observations) {
    histogram.labels(...labels).observe(value, exemplar === undefined ? undefined : { trace_id: exemplar })
  }
  return Array.from(series.values()).flatMap(({ labels, values }) => [
    ...[...buckets, Infinity].map((bound) =>
      sample(`${name}_bucket`, { ...labels, le: `${bound}` }, values.filter((value) => value <= bound).length),
    ),
    sample(
      `${name}_sum`,
      labels,
      values.reduce((a, b) => a + b, 0),
    ),
    sample(`${name}_count`, labels, values.length),
  ])
}

/** Feeds a metric of a client. The samples that it must expose are those the client itself returns. */
async function observeForeign(
  registry: promClient.Registry,
  client: Client,
  one: InstrumentModel,
  constantLabels: Record<string, string>,
): Promise<Sample[]> {
  const { type, name, help, labelNames, buckets, observations } = one
  const options = { name, help, labelNames, registers: [registry] }
  const metric =
    type === 'counter'
      ? new client.Counter(options)
      : type === 'gauge'
        ? new client.Gauge(options)
        : type === 'histogram'
          ? new client.Histogram({ ...options, buckets: buckets.length > 0 ? buckets : [1] })
          : new client.Summary(options)
  for (const { labels, value } of observations) {
    const own = Object.fromEntries(labelNames.map((label, index) => [label, labels[index]!]))
    if (metric instanceof client.Counter) metric.inc(own, value)
    else if (metric instanceof client.Gauge) metric.set(own, value)
    else metric.observe(own, value)
  }
  const { values } = (await metric.get()) as promClient.MetricObjectWithValues<
    promClient.MetricValue<string> & { metricName?: string }
  >
  return values.map(({ metricName = name, labels, value }) =>
    sample(metricName, { ...constantLabels, ...(labels as Record<string, string>) }, value),
  )
}

function sample(name: string, labels: Record<string, string>, value: number): Sample {
  return {
    name,
    labels: Object.fromEntries(Object.entries(labels).map(([key, text]) => [key, carried(`${text}`)])),
    value,
  }
}

/** Returns a label value as UTF-8 and Prometheus's scanner can carry it: the documented escapes, done by hand. */
function carried(text: string): string {
  let result = ''
  for (const [index, character] of [...text].entries()) {
    const code = character.codePointAt(0)!
    const isLone = code >= 0xd800 && code <= 0xdfff
    const rest = [...text].slice(index + 1).join('')
    const isAmbiguous = character === '\ufffd' && /^(0000|fffd|d[89a-f][0-9a-f][0-9a-f])/.test(rest)
    result += isLone || code === 0 || isAmbiguous ? `\ufffd${code.toString(16).padStart(4, '0')}` : character
  }
  return result
}
