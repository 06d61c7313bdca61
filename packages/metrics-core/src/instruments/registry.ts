/**
 * The instruments of one application: makes them, finds them by name, and hears of their overflow.
 *
 * @module
 */
import type { FastifyBaseLogger } from 'fastify'
import type { LabelValue } from '../encoding/labels.ts'
import { InvalidNameError, MetricMismatchError } from '../errors.ts'
import { definitions } from '../metrics.ts'
import type { RegistryLike } from '../options.ts'
import { Counter, type CounterOptions } from './counter.ts'
import { Gauge, type GaugeOptions } from './gauge.ts'
import { Histogram, type HistogramOptions } from './histogram.ts'
import { type AnyInstrument, type InstrumentContext, type InstrumentOptions, isInstrument } from './instrument.ts'

/** The instruments of one application. */
export interface InstrumentRegistry {
  /**
   * Returns the counter of that name, and creates it when there is none. Throws when a different metric has the name.
   */
  counter<const Label extends string = never>(options: CounterOptions<Label>): Counter<Label>
  /** Returns the gauge of that name, and creates it when there is none. Throws when a different metric has the name. */
  gauge<const Label extends string = never>(options: GaugeOptions<Label>): Gauge<Label>
  /**
   * Returns the histogram of that name, and creates it when there is none. Throws when a different metric, or a
   * histogram with other buckets, has the name.
   */
  histogram<const Label extends string = never>(options: HistogramOptions<Label>): Histogram<Label>
  /** What these instruments share. Its `collect` does nothing until `createMetrics` sets it. */
  readonly context: InstrumentContext
  /** Registers all instruments again when somebody has cleared the registry. */
  restore(): void
  /** Makes the instruments forget this application. */
  release(): void
}

/** Where instruments report. */
export interface InstrumentEvents {
  log: FastifyBaseLogger
  /** Hears of the function that sets the values of an instrument. */
  onCollect(name: string, collect: () => void | Promise<void>): void
}

/** The limits of all instruments of an application. */
export type InstrumentLimits = Pick<InstrumentContext, 'maxSeries' | 'maxLabelLength'>

/** Creates the instruments' side of a registry; `labels` are on every series. */
export function createInstruments(
  registry: RegistryLike,
  { maxSeries, maxLabelLength, labels }: InstrumentLimits & { labels: Record<string, LabelValue> },
  { log, onCollect }: InstrumentEvents,
): InstrumentRegistry {
  const reportedMetrics = new Set<string>()
  const context: InstrumentContext = {
    maxSeries,
    maxLabelLength,
    constantLabels: labels,
    onOverflow,
    onTruncated,
    collect: () => undefined,
  }
  const made = new Map<string, AnyInstrument>()
  const overflow = getOrCreate(Counter<'metric'>, 'counter', definitions.overflow)
  const truncated = getOrCreate(Counter<'metric'>, 'counter', definitions.truncated)

  return {
    context,
    restore,
    release() {
      for (const instrument of made.values()) instrument.release(context)
    },
    counter: (options) => getOrCreate(Counter, 'counter', options) as never,
    gauge: (options) => getOrCreate(Gauge, 'gauge', options) as never,
    histogram: (options) => getOrCreate(Histogram, 'histogram', options) as never,
  }

  function getOrCreate<Made extends AnyInstrument>(
    Class: new (options: never, context: InstrumentContext) => Made,
    type: string,
    options: InstrumentOptions<string>,
  ): Made {
    restore()
    const known: unknown = registry.getSingleMetric(options.name)
    if (known instanceof Class) {
      known.assertSame(type, options)
      known.adopt(context)
      made.set(options.name, known)
      return known
    }
    if (known !== undefined) {
      const other = isInstrument(known) ? `a ${known.type}` : 'registered by a Prometheus client'
      throw new MetricMismatchError(options.name, other, `a ${type}`)
    }
    const instrument = new Class(options as never, context)
    checkSampleNames(registry, instrument)
    registry.registerMetric(instrument)
    made.set(options.name, instrument)
    if (options.collect !== undefined) onCollect(options.name, options.collect.bind(instrument as never))
    const { labelNames, maxSeries, exposedName } = instrument
    // Both counters themselves have no cardinality limit, so this never runs before they exist.
    if (labelNames.length > 0 && Number.isFinite(maxSeries)) {
      overflow.reserve({ metric: exposedName })
      truncated.reserve({ metric: exposedName })
    }
    return instrument
  }

  /** A registry without the first instrument was cleared, since nobody removes that one alone. */
  function restore(): void {
    if (made.size === 0 || registry.getSingleMetric(definitions.overflow.name) !== undefined) return
    log.warn('the registry was cleared; its metrics are registered again, with the values that they had')
    for (const [name, instrument] of made) {
      if (registry.getSingleMetric(name) === undefined) registry.registerMetric(instrument)
    }
  }

  function onTruncated(metric: string): void {
    truncated.reserve({ metric }).inc()
  }

  function onOverflow(metric: string, limit: number): void {
    overflow.reserve({ metric }).inc()
    if (reportedMetrics.has(metric)) return
    reportedMetrics.add(metric)
    log.warn(
      { metric, maxSeries: limit },
      'a metric has reached its cardinality limit; new label sets share its overflow series',
    )
  }
}

/** Throws when two metrics would have samples of the same name: histogram `jobs` and counter `jobs_count`. */
function checkSampleNames(registry: RegistryLike, { exposedName: name, type }: AnyInstrument): void {
  const suffixes = ['_bucket', '_sum', '_count']
  const owner = name.replace(/_(bucket|sum|count)$/, '')
  const isSample = owner !== name && ['histogram', 'summary'].includes(registry.getSingleMetric(owner)?.type)
  const taken = type === 'histogram' ? suffixes.find((suffix) => registry.getSingleMetric(name + suffix)) : undefined
  if (isSample) throw new InvalidNameError('metric name', `${name}, which is a sample of ${owner}`)
  if (taken) throw new InvalidNameError('metric name', `${name}, whose sample ${name}${taken} is a metric already`)
}
