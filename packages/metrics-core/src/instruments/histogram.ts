/**
 * Histograms: observations counted in buckets by their value.
 *
 * @module
 */
import { checkBuckets } from '../checks.ts'
import { formatBound, type Labels, parseLabels } from '../encoding/labels.ts'
import { type Bytes, type ByteWriter, type Name, toName } from '../encoding/writer.ts'
import { InvalidValueError, MetricMismatchError } from '../errors.ts'
import { Bounds } from './bounds.ts'
import { createExemplar, type Exemplar, type ExemplarLabels, formatExemplar } from './exemplar.ts'
import type { InstrumentSample } from './family.ts'
import { Instrument, type InstrumentContext, type InstrumentOptions, type UnknownFamily } from './instrument.ts'
import { Series } from './series-table.ts'

export interface HistogramOptions<Label extends string> extends InstrumentOptions<Label> {
  /** Bucket boundaries, ascending, without `+Inf`. @default 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 */
  buckets?: readonly number[]
}

/** The default of prom-client and client_golang: five milliseconds to ten seconds. */
export const DEFAULT_BUCKETS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** One bound series of a histogram. */
export class HistogramSeries extends Series {
  /** By bucket; absent until the first exemplar. */
  declare exemplars?: Array<Exemplar | undefined> | undefined
  readonly bounds: Bounds
  /**
   * The numbers of several series; this one's begin at `#first`: observations by bucket, each counted once, then their
   * sum.
   */
  readonly #numbers: Float64Array
  readonly #first: number

  constructor(labels: Bytes, bounds: Bounds) {
    super(labels)
    this.bounds = bounds
    const { numbers, start } = bounds.allocate()
    this.#numbers = numbers
    this.#first = start
  }

  /**
   * Returns the number of observations in a bucket, without those of lower buckets. The last bucket is that of +Inf.
   */
  countOf(bucket: number): number {
    return this.#numbers[this.#first + bucket]!
  }

  /** Number of observations. */
  get count(): number {
    let count = 0
    for (let bucket = 0; bucket < this.bounds.ends.length; bucket += 1) count += this.countOf(bucket)
    return count
  }

  /** Sum of all observed values. */
  get sum(): number {
    return this.#numbers[this.#first + this.bounds.size - 1]!
  }

  /** Sets the series back to zero. */
  clear(): void {
    this.#numbers.fill(0, this.#first, this.#first + this.bounds.size)
    this.exemplars = undefined
  }

  /** Counts one observation, a finite number. Throws for anything else and changes nothing. */
  observe(value: number, exemplarLabels?: ExemplarLabels): void {
    if (!Number.isFinite(value)) throw new InvalidValueError(value)
    const { values: bounds, size } = this.bounds
    // With the usual dozen of boundaries a linear search is faster than a binary one.
    let bucket = 0
    while (bucket < bounds.length && value > bounds[bucket]!) bucket += 1
    const first = this.#first
    this.#numbers[first + bucket]! += 1
    this.#numbers[first + size - 1]! += value
    if (exemplarLabels !== undefined) this.#keepExemplar(bucket, exemplarLabels, value)
  }

  #keepExemplar(bucket: number, exemplarLabels: ExemplarLabels, value: number): void {
    const exemplar = createExemplar(exemplarLabels, value)
    if (exemplar === undefined) return
    this.exemplars ??= []
    this.exemplars[bucket] = exemplar
  }

  /** Starts a timer. The function returned observes the elapsed seconds and returns them. */
  startTimer(): (exemplarLabels?: ExemplarLabels) => number {
    const start = performance.now()
    return (exemplarLabels) => {
      const seconds = (performance.now() - start) / 1000
      this.observe(seconds, exemplarLabels)
      return seconds
    }
  }
}

/**
 * A histogram. `observe` on a bound series is the fast path; `observe(labels, value)` looks the series up each time.
 */
export class Histogram<Label extends string = never> extends Instrument<Label, HistogramSeries> {
  readonly type = 'histogram'
  protected readonly observers: readonly string[] = ['observe']
  readonly buckets: readonly number[]
  readonly #bounds: Bounds
  readonly #bucketName: Name
  readonly #sumName: Name
  readonly #countName: Name

  constructor(options: HistogramOptions<Label>, context: InstrumentContext) {
    super(options, context, 'le')
    const { buckets = DEFAULT_BUCKETS } = options
    this.#bounds = new Bounds(buckets)
    this.buckets = this.#bounds.values
    this.#bucketName = toName(`${this.name}_bucket`)
    this.#sumName = toName(`${this.name}_sum`)
    this.#countName = toName(`${this.name}_count`)
    if (this.labelNames.length === 0) this.reserve({})
  }

  /**
   * Counts one observation. Takes prom-client's forms: `observe(0.3)`, `observe({ method: 'GET' }, 0.3)`, `observe({
   * labels, value, exemplarLabels })`.
   */
  observe(value: number): void
  observe(labels: Labels<Label>, value: number): void
  observe(observation: { labels?: Labels<Label>; value: number; exemplarLabels?: ExemplarLabels }): void
  observe(
    first: number | Labels<Label> | { labels?: Labels<Label>; value: number; exemplarLabels?: ExemplarLabels },
    value?: number,
  ): void {
    if (typeof first !== 'object' || first === null) this.find({}).observe(first)
    else if (this.isObservation(first))
      this.find(first.labels ?? {}).observe(first.value as number, first.exemplarLabels)
    else this.find(first as Labels<Label>).observe(value as number)
  }

  /** Starts a timer. The function returned observes the elapsed seconds and returns them. */
  startTimer(
    labels: Labels<Label> = {},
    exemplarLabels?: ExemplarLabels,
  ): (endLabels?: Labels<Label>, endExemplarLabels?: ExemplarLabels) => number {
    const start = performance.now()
    return (endLabels, endExemplarLabels) => {
      const seconds = (performance.now() - start) / 1000
      this.find({ ...labels, ...endLabels }).observe(seconds, merged(exemplarLabels, endExemplarLabels))
      return seconds
    }
  }

  /** Like every instrument's. `buckets` replace those of the histogram if the series is new. */
  override reserve(labels: Labels<Label>, buckets?: readonly number[]): HistogramSeries {
    if (buckets === undefined) return this.reserveSeries(labels)
    const bounds = new Bounds(buckets)
    return this.reserveSeries(labels, (bytes) => new HistogramSeries(bytes, bounds))
  }

  /** Sets the series of a label set to zero, and creates it if it is new. */
  setToZero(labels: Labels<Label> = {}): void {
    this.find(labels).clear()
  }

  /** Like {@link setToZero}, under the name of prom-client. */
  zero(labels: Labels<Label>): void {
    this.setToZero(labels)
  }

  override assertSame(type: string, options: HistogramOptions<Label>): void {
    super.assertSame(type, options)
    const { buckets = DEFAULT_BUCKETS } = options
    checkBuckets(buckets)
    if (buckets.join() !== this.buckets.join()) {
      throw new MetricMismatchError(this.exposedName, `with the buckets ${this.buckets.join()}`, buckets.join())
    }
  }

  protected create(labels: Bytes): HistogramSeries {
    return new HistogramSeries(labels, this.#bounds)
  }

  protected toZero(series: HistogramSeries): void {
    series.clear()
  }

  write(writer: ByteWriter, series: HistogramSeries, openMetrics: boolean): number {
    const count = this.#writeBuckets(writer, series, openMetrics)
    // OpenMetrics allows no sum below zero, and no count without a sum.
    if (openMetrics && !(series.sum >= 0)) return series.bounds.ends.length
    this.#writeSum(writer, series)
    this.#writeCount(writer, series, count)
    // The buckets, the sum and the count.
    return series.bounds.ends.length + 2
  }

  override get unknownFamilies(): UnknownFamily<HistogramSeries>[] {
    return [
      {
        name: `${this.exposedName}_bucket`,
        write: (writer, series) => {
          this.#writeBuckets(writer, series, false)
          return series.bounds.ends.length
        },
      },
      {
        name: `${this.exposedName}_sum`,
        write: (writer, series) => {
          this.#writeSum(writer, series)
          return 1
        },
      },
      {
        name: `${this.exposedName}_count`,
        write: (writer, series) => {
          this.#writeCount(writer, series, series.count)
          return 1
        },
      },
    ]
  }

  /** Writes the lines of the buckets; returns the number of observations. */
  #writeBuckets(writer: ByteWriter, series: HistogramSeries, exemplars: boolean): number {
    const { ends } = series.bounds
    const start = writer.length
    writer.openLabels(this.#bucketName, series)
    const end = writer.length
    let count = 0
    for (let bucket = 0; bucket < ends.length; bucket += 1) {
      count += series.countOf(bucket)
      if (bucket > 0) writer.again(start, end)
      writer.copy(ends[bucket]!)
      const exemplar = exemplars ? series.exemplars?.[bucket] : undefined
      writer.value(count, exemplar && formatExemplar(exemplar))
    }
    return count
  }

  #writeSum(writer: ByteWriter, series: HistogramSeries): void {
    writer.name(this.#sumName, series)
    writer.value(series.sum)
  }

  #writeCount(writer: ByteWriter, series: HistogramSeries, count: number): void {
    writer.name(this.#countName, series)
    writer.value(count)
  }

  protected samples(series: HistogramSeries): InstrumentSample[] {
    const labels = parseLabels(series.labelText)
    const samples: InstrumentSample[] = []
    let count = 0
    for (const [bucket, bound] of [...series.bounds.values, Infinity].entries()) {
      count += series.countOf(bucket)
      const sample: InstrumentSample = {
        labels: { ...labels, le: clientBound(bound) },
        value: count,
        metricName: `${this.exposedName}_bucket`,
      }
      if (series.exemplars !== undefined) {
        const exemplar = series.exemplars[bucket]
        // As in the clients, which name the buckets without one.
        sample.exemplar =
          exemplar === undefined
            ? null
            : { labelSet: exemplar.labels, value: exemplar.value, timestamp: exemplar.timestamp }
      }
      samples.push(sample)
    }
    samples.push({ labels, value: series.sum, metricName: `${this.exposedName}_sum` })
    samples.push({ labels, value: count, metricName: `${this.exposedName}_count` })
    return samples
  }
}

/** Returns the labels of an exemplar that were given at the start and at the end of a timer. */
function merged(start: ExemplarLabels | undefined, end: ExemplarLabels | undefined): ExemplarLabels | undefined {
  return start && end ? { ...start, ...end } : (end ?? start)
}

/**
 * Returns a boundary for the clients' own rendering. They write a number as JavaScript does, which for 1 is not what
 * our exposition says, so it would be another series.
 */
function clientBound(bound: number): number | string {
  const text = formatBound(bound)
  return `${bound}` === text ? bound : text
}
