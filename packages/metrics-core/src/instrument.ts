/**
 * What counter, gauge and histogram share: a family of series by label set, bounded by the label guard, which is at
 * the same time a valid metric of a prom-client `Registry`.
 *
 * @module
 */
import { MetricMismatchError, UnknownLabelError } from './errors.ts'
import { checkLabelName, checkMetricName, escapeLabelValue, type Labels, type LabelValue } from './labels.ts'

/** How prom-client combines a metric of several processes into one. */
export type Aggregator = 'sum' | 'first' | 'min' | 'max' | 'average' | 'omit'

/** What every instrument takes. */
export interface InstrumentOptions<Label extends string> {
  /** `<stem>_<thing>_<unit>`, ending in `_total` for a counter. Public API once people query it. */
  name: string
  /** One sentence that a newcomer understands. */
  help: string
  /** Label names, in the order in which `labels('a', 'b')` takes their values. @default [] */
  labelNames?: readonly Label[]
  /** Base unit, which must be the name's suffix (`seconds`); written as `# UNIT` in OpenMetrics. */
  unit?: string
  /** Series beyond those reserved; what exceeds it goes to one overflow series; `false` for no cap. @default the plugin's `maxSeries` */
  maxSeries?: number | false
  /** How prom-client combines the metric of several cluster workers. @default 'sum' */
  aggregator?: Aggregator
}

/** What a registry gives to the instruments that it makes. */
export interface InstrumentContext {
  maxSeries: number
  /** Labels that every series carries. */
  constantLabels: Record<string, LabelValue>
  /** Called for each observation that the label guard folded into the overflow series. */
  onOverflow(metric: string): void
}

/** One series: its numbers, and its exposition text for as long as these do not change. */
export interface Series {
  /** The labels as exposition text; identifies the series within its instrument. */
  readonly labelText: string
  /** The lines of the last exposition; empty when the series has changed since, or when it was not worth keeping. */
  text: string
}

/** One sample in prom-client's JSON form. */
export interface Sample {
  labels: Record<string, string | number>
  value: number
  metricName?: string
  exemplar?: { labelSet: Record<string, string>; value: number; timestamp: number }
}

/** Every label of the series that takes what exceeds the cap. */
export const OVERFLOW = '__overflow__'

/**
 * A metric with its series. Creating a series costs some hundred bytes and happens once per label set; bind it with
 * `labels()` where events are frequent and keep it.
 */
export abstract class Instrument<Label extends string, S extends Series> {
  readonly name: string
  readonly help: string
  readonly unit: string | undefined
  readonly labelNames: readonly Label[]
  readonly aggregator: Aggregator
  readonly maxSeries: number
  abstract readonly type: 'counter' | 'gauge' | 'histogram'

  /** Series by label text, in the order in which they were made. */
  readonly series: Map<string, S> = new Map()
  /** Labels on every series. */
  readonly constantLabels: Record<string, LabelValue>

  protected onOverflow: (metric: string) => void
  #overflow: S | undefined
  #reserved = 0
  /** Alternately the text before a value and the label that the value comes from, in alphabetical order of the labels. */
  readonly #template: Array<{ before: string; label: Label }> = []
  readonly #templateEnd: string

  constructor(options: InstrumentOptions<Label>, context: InstrumentContext, reservedLabel?: string) {
    const { name, help, labelNames = [], unit, maxSeries = context.maxSeries, aggregator = 'sum' } = options
    checkMetricName(name)
    for (const label of labelNames) checkLabelName(label, reservedLabel)
    if (unit !== undefined && !name.replace(/_total$/, '').endsWith(`_${unit}`)) {
      throw new MetricMismatchError(name, `named with its unit as suffix`, unit)
    }
    this.name = name
    this.help = help
    this.unit = unit
    this.labelNames = [...labelNames]
    this.aggregator = aggregator
    this.maxSeries = maxSeries === false ? Infinity : maxSeries
    this.onOverflow = context.onOverflow
    this.constantLabels = {}
    for (const [label, value] of Object.entries(context.constantLabels)) {
      checkLabelName(label, reservedLabel)
      if (!labelNames.includes(label as Label)) this.constantLabels[label] = value
    }

    let before = ''
    for (const label of [...labelNames, ...Object.keys(this.constantLabels)].sort()) {
      before += `${before || this.#template.length > 0 ? ',' : ''}${label}="`
      if (label in this.constantLabels) {
        before += `${escapeLabelValue(this.constantLabels[label])}"`
      } else {
        this.#template.push({ before, label: label as Label })
        before = '"'
      }
    }
    this.#templateEnd = before
  }

  /** A new series at zero. */
  protected abstract create(labelText: string): S
  /** A new series at zero that reports each observation to the label guard. */
  protected abstract createOverflow(labelText: string): S
  /** Sets a series back to zero. */
  protected abstract zero(series: S): void
  /** The exposition lines of a series, each ending in a newline. */
  abstract render(series: S, exemplars: boolean): string
  /** The samples of a series in prom-client's form. */
  protected abstract samples(series: S): Sample[]

  /**
   * The series of a label set, made at zero when it is new. Bind it once and keep it: observing on it is a number add.
   * Beyond `maxSeries` the overflow series is returned. A kept series that is removed counts no more.
   */
  labels(...labels: [Labels<Label>] | LabelValue[]): S {
    return this.find(this.#object(labels))
  }

  /** Like {@link labels}, for label sets known beforehand: outside of the cap, and never folded into the overflow series. */
  reserve(labels: Labels<Label>): S {
    const labelText = this.labelText(labels)
    const known = this.series.get(labelText)
    if (known !== undefined) return known
    const series = this.create(labelText)
    this.series.set(labelText, series)
    this.#reserved += 1
    return series
  }

  /** Drops a series, so that it is no longer exposed. */
  remove(...labels: [Labels<Label>] | LabelValue[]): void {
    this.series.delete(this.labelText(this.#object(labels)))
  }

  /** Sets every series back to zero. Prometheus sees a restart of the process. */
  reset(): void {
    for (const series of this.series.values()) this.zero(series)
  }

  /** The metric in prom-client's JSON form: what `registry.metrics()`, `getMetricsAsJSON()` and aggregation read. */
  async get(): Promise<{ name: string; help: string; type: string; aggregator: Aggregator; values: Sample[] }> {
    const values: Sample[] = []
    for (const series of this.series.values()) {
      for (const sample of this.samples(series)) values.push(sample)
    }
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values }
  }

  /** Throws unless an instrument made with these options would be the same as this one. */
  assertSame(type: string, options: InstrumentOptions<Label>): void {
    const { labelNames = [] } = options
    if (type !== this.type) throw new MetricMismatchError(this.name, `a ${this.type}`, `a ${type}`)
    if ([...labelNames].sort().join() !== [...this.labelNames].sort().join()) {
      throw new MetricMismatchError(this.name, `labelled (${this.labelNames.join()})`, `(${labelNames.join()})`)
    }
  }

  /** The registry that asked for this instrument last is the one that hears of its overflow. */
  adopt(context: InstrumentContext): void {
    this.onOverflow = context.onOverflow
  }

  protected find(labels: Labels<Label>): S {
    const labelText = this.labelText(labels)
    const known = this.series.get(labelText)
    if (known !== undefined) return known
    if (this.series.size - this.#reserved >= this.maxSeries) return this.#overflowSeries()
    const series = this.create(labelText)
    this.series.set(labelText, series)
    return series
  }

  /** The text that identifies a label set: all labels of the instrument, in alphabetical order, escaped. */
  protected labelText(labels: Labels<Label>): string {
    for (const label in labels) {
      if (!this.labelNames.includes(label)) {
        throw new UnknownLabelError(this.name, this.labelNames.join(', ') || 'none', label)
      }
    }
    let text = ''
    for (const { before, label } of this.#template) text += before + escapeLabelValue(labels[label])
    return text + this.#templateEnd
  }

  /** Whether an argument is prom-client's `{ labels, value, exemplarLabels }`, and not a label set. */
  protected isObservation(
    argument: object,
  ): argument is { labels?: Labels<Label>; value?: number; exemplarLabels?: Record<string, string> } {
    return ['labels', 'value', 'exemplarLabels'].some(
      (key) => key in argument && !(this.labelNames as readonly string[]).includes(key),
    )
  }

  #object(labels: [Labels<Label>] | LabelValue[]): Labels<Label> {
    const [first] = labels
    if (typeof first === 'object' && first !== null) return first
    if (labels.length > this.labelNames.length) {
      throw new UnknownLabelError(this.name, this.labelNames.join(', ') || 'none', `${labels.length} values`)
    }
    const object: { [name in Label]?: LabelValue } = {}
    for (const [index, value] of (labels as LabelValue[]).entries()) object[this.labelNames[index]!] = value
    return object
  }

  #overflowSeries(): S {
    if (this.#overflow === undefined) {
      const labels = Object.fromEntries(this.labelNames.map((label) => [label, OVERFLOW])) as Labels<Label>
      const labelText = this.labelText(labels)
      this.#overflow = this.createOverflow(labelText)
      this.#reserved += 1
    }
    // Set each time: `remove` may have dropped it.
    this.series.set(this.#overflow.labelText, this.#overflow)
    return this.#overflow
  }
}
