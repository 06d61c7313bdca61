/**
 * One registry: its instruments, its collectors, and its exposition, without any HTTP.
 *
 * @module
 */
import cluster from 'node:cluster'
import type { FastifyBaseLogger } from 'fastify'
import { aggregate, type Snapshot, toPortable } from './cluster/aggregate.ts'
import { createPrimary, createWorker } from './cluster/cluster.ts'
import {
  type AnyInstrument,
  createRenderer,
  type ForeignFamily,
  familyName,
  isInstrument,
} from './encoding/exposition.ts'
import { CONTENT_TYPES, negotiateFormat } from './encoding/negotiate.ts'
import { InvalidNameError, MetricMismatchError } from './errors.ts'
import { Counter, type CounterOptions } from './instruments/counter.ts'
import { Gauge, type GaugeOptions } from './instruments/gauge.ts'
import { Histogram, type HistogramOptions } from './instruments/histogram.ts'
import type { InstrumentContext, InstrumentOptions } from './instruments/instrument.ts'
import type { LabelValue } from './instruments/labels.ts'
import { definitions } from './metrics.ts'
import type { MetricsCoreOptions, RegistryLike } from './options.ts'
import { type Collect, createCollectors, type ForeignMetric } from './scrape/collectors.ts'

/** What {@link Metrics.expose} takes. */
export interface ExposeOptions {
  /** The scraper's `Accept` header. @default text 0.0.4 */
  accept?: string | undefined
  /** Only metrics of these names. @default all */
  names?: readonly string[] | undefined
  /** Milliseconds in which collectors have to end. @default `collectorTimeoutMs` */
  budgetMs?: number | undefined
}

/** One exposition. */
export interface Exposition {
  contentType: string
  body: Buffer
}

/** What plugins and applications find at `fastify.metrics`. */
export interface Metrics {
  /** The registry that holds everything; prom-client's own classes may be registered in it too. */
  readonly registry: RegistryLike
  /** The counter of that name, made when there is none; throws when there is another with that name. */
  counter<const Label extends string = never>(options: CounterOptions<Label>): Counter<Label>
  /** The gauge of that name, made when there is none; throws when there is another with that name. */
  gauge<const Label extends string = never>(options: GaugeOptions<Label>): Gauge<Label>
  /** The histogram of that name, made when there is none; throws when there is another with that name or with other buckets. */
  histogram<const Label extends string = never>(options: HistogramOptions<Label>): Histogram<Label>
  /** Runs `collect` at each scrape, with a deadline, apart from all others; the function returned removes it. */
  collector(name: string, collect: Collect, options?: { timeoutMs?: number }): () => void
  /** Counts an application's callback that threw, in `metrics_errors_total{plugin}`, and logs the first one of a plugin. */
  callbackError(plugin: string, error: unknown): void
  /** Collects and renders: what `GET /metrics` answers. Concurrent calls share one collection. */
  expose(options?: ExposeOptions): Promise<Exposition>
}

/** Makes what is at `fastify.metrics`; `close` ends what it started, and leaves the registry readable. */
export function createMetrics(
  registry: RegistryLike,
  options: MetricsCoreOptions,
  log: FastifyBaseLogger,
): { metrics: Metrics; close(): Promise<void> } {
  const { maxSeries = 1000, labels = {}, collectorTimeoutMs = 1000 } = options
  const reportedPlugins = new Set<string>()
  const reportedMetrics = new Set<string>()
  const renderings = new Map<string, Promise<Exposition>>()
  const render = createRenderer()
  let running: Promise<unknown> | undefined
  let collecting: Promise<unknown> | undefined

  const context: InstrumentContext = { maxSeries, constantLabels: defaultLabels(), onOverflow, collect: runCollectors }
  const overflow = getOrCreate(Counter<'metric'>, 'counter', definitions.overflow)
  const seriesGauge = getOrCreate(Gauge, 'gauge', definitions.series)
  const errors = getOrCreate(Counter<'plugin'>, 'counter', definitions.errors)
  const collectors = createCollectors(
    {
      success: getOrCreate(Gauge<'collector'>, 'gauge', definitions.collectorSuccess),
      duration: getOrCreate(Gauge<'collector'>, 'gauge', definitions.collectorDuration),
      lastSuccess: getOrCreate(Gauge<'collector'>, 'gauge', definitions.collectorLastSuccess),
    },
    collectorTimeoutMs,
    log,
  )
  const primary = options.cluster && cluster.isPrimary ? createPrimary() : undefined
  const worker = options.cluster && cluster.isWorker ? createWorker(snapshotNow) : undefined
  if (primary) collectors.add('cluster', primary.collect)

  const metrics: Metrics = {
    registry,
    counter: (instrument) => getOrCreate(Counter, 'counter', instrument) as never,
    gauge: (instrument) => getOrCreate(Gauge, 'gauge', instrument) as never,
    histogram: (instrument) => getOrCreate(Histogram, 'histogram', instrument) as never,
    collector: (name, collect, { timeoutMs } = {}) => collectors.add(name, collect, timeoutMs),
    callbackError,
    expose,
  }
  return { metrics, close }

  async function close(): Promise<void> {
    const told = worker?.close(snapshot())
    primary?.close()
    collectors.clear()
    // A primary that hangs keeps nobody from closing.
    if (told) await collectors.within(told, collectorTimeoutMs)
  }

  function getOrCreate<Made extends AnyInstrument>(
    Class: new (options: never, context: InstrumentContext) => Made,
    type: string,
    instrument: InstrumentOptions<string>,
  ): Made {
    const known: unknown = registry.getSingleMetric(instrument.name)
    if (known instanceof Class) {
      known.assertSame(type, instrument)
      known.adopt(context)
      return known
    }
    if (known !== undefined) {
      const other = isInstrument(known) ? `a ${known.type}` : 'registered by a Prometheus client'
      throw new MetricMismatchError(instrument.name, other, `a ${type}`)
    }
    const made = new Class(instrument as never, context)
    checkSampleNames(registry, made)
    registry.registerMetric(made)
    if (made.labelNames.length > 0 && Number.isFinite(made.maxSeries)) overflow.reserve({ metric: made.exposedName })
    return made
  }

  function onOverflow(metric: string, cap: number): void {
    overflow.reserve({ metric }).inc()
    if (reportedMetrics.has(metric)) return
    reportedMetrics.add(metric)
    log.warn(
      { metric, maxSeries: cap },
      'a metric has reached its cap of series; what exceeds it goes to the overflow series',
    )
  }

  function callbackError(plugin: string, error: unknown): void {
    errors.reserve({ plugin }).inc()
    if (reportedPlugins.has(plugin)) return
    reportedPlugins.add(plugin)
    log.error({ err: error, plugin }, 'a callback of the application threw while something was measured')
  }

  async function expose({ accept, names, budgetMs = collectorTimeoutMs }: ExposeOptions = {}): Promise<Exposition> {
    const format = negotiateFormat(accept)
    const collecting = collect(budgetMs)
    if (collecting !== undefined) await collecting
    const key = names === undefined ? format : JSON.stringify([format, ...names])
    const shared = renderings.get(key)
    if (shared !== undefined) return shared
    const rendering = renderNow(format, names)
    renderings.set(key, rendering)
    try {
      return await rendering
    } finally {
      renderings.delete(key)
    }
  }

  /** Everybody who asks while a collection runs shares it, and waits no longer than their own budget; `undefined` when there is nothing to wait for. */
  function collect(budgetMs: number): Promise<unknown> | undefined {
    collecting ??= collectAll(budgetMs)?.finally(() => {
      collecting = undefined
    })
    return collecting && collectors.within(collecting, budgetMs)
  }

  function collectAll(budgetMs: number): Promise<unknown> | undefined {
    // Instruments of other applications, in a registry that they share, have collectors there.
    const contexts = new Set([context])
    // Clients' metrics collect while they are read, so they are read beside our collectors.
    const foreign: ForeignMetric[] = []
    for (const metric of registry.getMetricsAsArray() as Array<AnyInstrument | ForeignMetric>) {
      if (isInstrument(metric)) contexts.add(metric.context)
      else foreign.push(metric)
    }
    const pending: Array<Promise<unknown>> = []
    const reading = collectors.read(foreign, budgetMs)
    if (reading !== undefined) pending.push(reading)
    for (const one of contexts) {
      const collected = one.collect(budgetMs)
      if (collected !== undefined) pending.push(collected)
    }
    return pending.length > 0 ? Promise.all(pending) : undefined
  }

  function runCollectors(budgetMs = collectorTimeoutMs): Promise<unknown> | undefined {
    running ??= collectors.run(budgetMs)?.finally(() => {
      running = undefined
    })
    return running && collectors.within(running, budgetMs)
  }

  async function renderNow(
    format: keyof typeof CONTENT_TYPES,
    names: readonly string[] | undefined,
  ): Promise<Exposition> {
    const labels = defaultLabels()
    const all = primary === undefined ? families(labels) : aggregate([snapshot(), ...primary.snapshots()])
    const wanted = names && all.filter((family) => names.includes(familyName(family)))
    const { body, series } = await render(wanted ?? all, format, labels)
    if (wanted === undefined) seriesGauge.set(series)
    return { contentType: CONTENT_TYPES[format], body }
  }

  /** What the registry holds: our instruments as they are, the clients' metrics as they were last read. */
  function families(labels: Record<string, LabelValue>): Array<AnyInstrument | ForeignFamily> {
    const found: Array<AnyInstrument | ForeignFamily> = []
    for (const metric of registry.getMetricsAsArray() as Array<AnyInstrument | ForeignMetric>) {
      if (isInstrument(metric)) {
        found.push(isLabelled(metric, labels) ? metric : withoutConstantLabels(metric))
        continue
      }
      const family = collectors.last(metric)
      if (family !== undefined) found.push({ ...family, name: registeredName(registry, metric) })
    }
    return found
  }

  function snapshot(): Snapshot {
    const labels = defaultLabels()
    return families(labels).map((family) =>
      toPortable(isInstrument(family) ? family.describe() : family, isInstrument(family) ? {} : labels),
    )
  }

  async function snapshotNow(budgetMs: number): Promise<Snapshot> {
    await collect(Math.min(budgetMs, collectorTimeoutMs))
    return snapshot()
  }

  function defaultLabels(): Record<string, LabelValue> {
    return { ...registryLabels(registry), ...labels }
  }
}

/** Throws where samples of two metrics would have one name: histogram `jobs` and counter `jobs_count`. */
function checkSampleNames(registry: RegistryLike, { exposedName: name, type }: AnyInstrument): void {
  const suffixes = ['_bucket', '_sum', '_count']
  const owner = name.replace(/_(bucket|sum|count)$/, '')
  const isSample = owner !== name && ['histogram', 'summary'].includes(registry.getSingleMetric(owner)?.type)
  const taken = type === 'histogram' ? suffixes.find((suffix) => registry.getSingleMetric(name + suffix)) : undefined
  if (isSample) throw new InvalidNameError('metric name', `${name}, which ${owner} has as a sample`)
  if (taken) throw new InvalidNameError('metric name', `${name}, whose sample ${name}${taken} is a metric`)
}

/** Whether the text of an instrument's series has just these labels beside its own: a registry can be given others later. */
function isLabelled({ constantLabels, labelNames }: AnyInstrument, labels: Record<string, LabelValue>): boolean {
  let missing = Object.keys(constantLabels).length
  for (const label in labels) {
    if (labelNames.includes(label)) continue
    if (constantLabels[label] !== labels[label]) return false
    missing -= 1
  }
  return missing === 0
}

/** An instrument's samples without the labels that it was made with; the writer adds those of now. */
function withoutConstantLabels(instrument: AnyInstrument): ForeignFamily {
  const family = instrument.describe()
  for (const { labels } of family.values) {
    for (const label of Object.keys(instrument.constantLabels)) delete labels[label]
  }
  return family
}

/** The name under which a client's metric was registered: the clients' OpenMetrics rendering cuts `_total` off counters, for good. */
function registeredName(registry: RegistryLike, metric: ForeignMetric): string {
  const whole = `${metric.name}_total`
  return registry.getSingleMetric(whole) === metric ? whole : metric.name
}

/** Labels that were set on the registry itself; both clients keep them under this name. */
function registryLabels(registry: RegistryLike): Record<string, LabelValue> {
  return (registry as { _defaultLabels?: Record<string, LabelValue> })._defaultLabels ?? {}
}
