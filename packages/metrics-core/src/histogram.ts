/**
 * Histograms: observations counted by size.
 *
 * @module
 */
import { InvalidOptionError, InvalidValueError, MetricMismatchError } from './errors.ts'
import { createExemplar, type Exemplar, type ExemplarLabels, formatExemplar } from './exemplar.ts'
import { Instrument, type InstrumentContext, type InstrumentOptions, type Sample, type Series } from './instrument.ts'
import { flatten, formatBound, formatValue, LABEL, type Labels, parseLabels } from './labels.ts'

export interface HistogramOptions<Label extends string> extends InstrumentOptions<Label> {
  /** Upper bounds, ascending, without `+Inf`. @default 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 */
  buckets?: readonly number[]
}

/** prom-client's and client_golang's default: five milliseconds to ten seconds. */
export const DEFAULT_BUCKETS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** The buckets of a series: what all series with the same buckets share. */
export interface Bounds {
  /** Upper bounds, ascending, without +Inf. */
  readonly values: readonly number[]
  /** `0.005`, …, `+Inf`. */
  readonly texts: readonly string[]
  /** Counts of a new series. */
  readonly zeros: number[]
}

/** Throws unless the buckets are ascending finite numbers. */
function createBounds(buckets: readonly number[]): Bounds {
  if (!buckets.every((bound, index) => Number.isFinite(bound) && (index === 0 || bound > buckets[index - 1]!))) {
    throw new InvalidOptionError('buckets', 'ascending finite numbers', buckets.join())
  }
  // Made with a fraction and filled after, so that V8 keeps the elements, and those of every copy, as raw doubles.
  const zeros = [0.5]
  for (const bound of buckets) zeros.push(bound + 0.5)
  return { values: [...buckets], texts: [...buckets.map(formatBound), '+Inf'], zeros: zeros.fill(0) }
}

/** One bound series of a histogram. */
export class HistogramSeries implements Series {
  readonly labelText: string
  text = ''
  sum = 0
  isReserved = false
  /** Observations by bucket, each counted once, the last one for +Inf. A plain array of doubles: a Float64Array weighs 200 bytes more. */
  readonly counts: number[]
  exemplars: Array<Exemplar | undefined> | undefined = undefined
  /** Where in the label text the label `le` has its alphabetical place. */
  readonly boundPosition: number
  readonly bounds: Bounds

  constructor(labelText: string, bounds: Bounds) {
    this.labelText = labelText
    this.boundPosition = findBoundPosition(labelText)
    this.bounds = bounds
    this.counts = bounds.zeros.slice()
  }

  /** Observations in all. */
  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0)
  }

  /** Counts one observation, a finite number; anything else throws and changes nothing. */
  observe(value: number, exemplarLabels?: ExemplarLabels): void {
    if (!Number.isFinite(value)) throw new InvalidValueError(value)
    const bounds = this.bounds.values
    // The usual dozen of bounds is searched faster from the left than by halves.
    let bucket = 0
    while (bucket < bounds.length && value > bounds[bucket]!) bucket += 1
    if (exemplarLabels !== undefined) {
      const exemplar = createExemplar(exemplarLabels, value)
      this.exemplars ??= []
      this.exemplars[bucket] = exemplar
    }
    this.counts[bucket]! += 1
    this.sum += value
    this.text = ''
  }

  /** Starts a clock; the returned function observes the seconds since and returns them. */
  startTimer(): (exemplarLabels?: ExemplarLabels) => number {
    const start = performance.now()
    return (exemplarLabels) => {
      const seconds = (performance.now() - start) / 1000
      this.observe(seconds, exemplarLabels)
      return seconds
    }
  }
}

class OverflowSeries extends HistogramSeries {
  readonly #onObservation: () => void

  constructor(labelText: string, bounds: Bounds, onObservation: () => void) {
    super(labelText, bounds)
    this.#onObservation = onObservation
  }

  override observe(value: number, exemplarLabels?: ExemplarLabels): void {
    super.observe(value, exemplarLabels)
    this.#onObservation()
  }
}

/** A histogram: `observe` on a bound series is the fast path, `observe(labels, value)` looks the series up each time. */
export class Histogram<Label extends string = never> extends Instrument<Label, HistogramSeries> {
  readonly type = 'histogram'
  readonly buckets: readonly number[]
  #bounds: Bounds
  readonly #head: string

  constructor(options: HistogramOptions<Label>, context: InstrumentContext) {
    super(options, context, 'le')
    const { buckets = DEFAULT_BUCKETS } = options
    this.#bounds = createBounds(buckets)
    this.buckets = this.#bounds.values
    this.#head = `${this.name}_bucket{`
    if (this.labelNames.length === 0) this.reserve({})
  }

  /** Counts one observation. Takes prom-client's forms: `observe(0.3)`, `observe({ method: 'GET' }, 0.3)`, `observe({ labels, value, exemplarLabels })`. */
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

  /** Starts a clock; the returned function observes the seconds since and returns them. */
  startTimer(
    labels: Labels<Label> = {},
    exemplarLabels?: ExemplarLabels,
  ): (endLabels?: Labels<Label>, endExemplarLabels?: ExemplarLabels) => number {
    const start = performance.now()
    return (endLabels, endExemplarLabels) => {
      const seconds = (performance.now() - start) / 1000
      this.find({ ...labels, ...endLabels }).observe(seconds, endExemplarLabels ?? exemplarLabels)
      return seconds
    }
  }

  /** Like every instrument's; a series that is new can be given buckets of its own. */
  override reserve(labels: Labels<Label>, buckets?: readonly number[]): HistogramSeries {
    if (buckets === undefined) return super.reserve(labels)
    const own = this.#bounds
    this.#bounds = createBounds(buckets)
    try {
      return super.reserve(labels)
    } finally {
      this.#bounds = own
    }
  }

  /** Sets the series of a label set to zero, made if it is new. */
  setToZero(labels: Labels<Label> = {}): void {
    this.zero(this.find(labels))
  }

  override assertSame(type: string, options: HistogramOptions<Label>): void {
    super.assertSame(type, options)
    const { buckets = DEFAULT_BUCKETS } = options
    if (buckets.join() !== this.buckets.join()) {
      throw new MetricMismatchError(this.exposedName, `with the buckets ${this.buckets.join()}`, buckets.join())
    }
  }

  protected create(labelText: string): HistogramSeries {
    return new HistogramSeries(labelText, this.#bounds)
  }

  protected createOverflow(labelText: string): HistogramSeries {
    return new OverflowSeries(labelText, this.#bounds, () => this.context.onOverflow(this.exposedName, this.maxSeries))
  }

  protected zero(series: HistogramSeries): void {
    series.counts.fill(0)
    series.sum = 0
    series.text = ''
    series.exemplars = undefined
  }

  render(series: HistogramSeries, exemplars: boolean): string {
    const { labelText, boundPosition, bounds, counts, sum } = series
    // Flat, since it stands in every line.
    const head = flatten(`${this.#head + labelText.slice(0, boundPosition) + (boundPosition > 0 ? ',' : '')}le="`)
    const rest = labelText.slice(boundPosition > 0 ? boundPosition + 1 : 0)
    const tail = rest === '' ? '"} ' : flatten(`",${rest}} `)
    const braces = labelText === '' ? ' ' : `{${labelText}} `
    let text = ''
    let count = 0
    for (let bucket = 0; bucket < counts.length; bucket += 1) {
      count += counts[bucket]!
      text += head + bounds.texts[bucket] + tail + count
      const exemplar = exemplars ? series.exemplars?.[bucket] : undefined
      text += exemplar === undefined ? '\n' : `${formatExemplar(exemplar)}\n`
    }
    return `${text}${this.exposedName}_sum${braces}${formatValue(sum)}\n${this.exposedName}_count${braces}${count}\n`
  }

  protected samples({ labelText, bounds, counts, sum, exemplars }: HistogramSeries): Sample[] {
    const labels = parseLabels(labelText)
    const samples: Sample[] = []
    let count = 0
    for (const [bucket, bucketCount] of counts.entries()) {
      count += bucketCount
      const sample: Sample = {
        labels: { ...labels, le: bounds.values[bucket] ?? '+Inf' },
        value: count,
        metricName: `${this.exposedName}_bucket`,
      }
      const exemplar = exemplars?.[bucket]
      if (exemplar)
        sample.exemplar = { labelSet: exemplar.labels, value: exemplar.value, timestamp: exemplar.timestamp }
      samples.push(sample)
    }
    samples.push({ labels, value: sum, metricName: `${this.exposedName}_sum` })
    samples.push({ labels, value: count, metricName: `${this.exposedName}_count` })
    return samples
  }
}

function findBoundPosition(labelText: string): number {
  let position = 0
  for (const { 0: label, 1: name, index } of labelText.matchAll(LABEL)) {
    if (name! > 'le') break
    position = index + label.length
  }
  return position
}
