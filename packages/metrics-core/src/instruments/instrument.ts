/**
 * What counter, gauge and histogram share: a family of series by label set, bounded by the label guard, which is at
 * the same time a valid metric of a prom-client `Registry`.
 *
 * @module
 */

import { encode } from '../encoding/label-bytes.ts'
import {
  checkLabelName,
  checkMetricName,
  escapeLabelValue,
  type Labels,
  type LabelValue,
  labelValueText,
} from '../encoding/labels.ts'
import type { Format } from '../encoding/negotiate.ts'
import { type Bytes, type ByteWriter, type Name, toBytes, toName } from '../encoding/writer.ts'
import { InvalidOptionError, LabelCountError, MetricMismatchError, UnknownLabelError } from '../errors.ts'
import type { Aggregator, Family, InstrumentFamily, InstrumentSample } from './family.ts'
import { type Series, SeriesTable } from './series-table.ts'

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
  onOverflow(metric: string, maxSeries: number): void
  /** Runs the collectors of the registry, in at most so many milliseconds, so that values read after it are of now. Never rejects; `undefined` when there are none. */
  collect(budgetMs?: number): Promise<unknown> | undefined
}

/** A part of an instrument that is a family of its own. */
export interface UnknownFamily<S extends Series> {
  name: string
  /** Writes the lines of a series; returns their number. */
  write(writer: ByteWriter, series: S): number
}

/** Every label of the series that takes what exceeds the cap. */
export const OVERFLOW = '__overflow__'

/** What prom-client's `{ labels, value, exemplarLabels }` can have. */
const OBSERVATION_KEYS = ['labels', 'value', 'exemplarLabels']

/**
 * A metric with its series. Creating a series costs some hundred bytes and happens once per label set; bind it with
 * `labels()` where events are frequent and keep it.
 */
export abstract class Instrument<Label extends string, S extends Series> {
  /** The name as clients see it: their OpenMetrics rendering cuts `_total` off, for good. */
  readonly name: string
  /** The name as it was given, and as it is exposed. */
  readonly exposedName: string
  protected readonly nameBytes: Name
  readonly help: string
  readonly unit: string | undefined
  readonly labelNames: readonly Label[]
  readonly aggregator: Aggregator
  readonly maxSeries: number
  abstract readonly type: 'counter' | 'gauge' | 'histogram'

  readonly series: SeriesTable<S> = new SeriesTable()
  /** The HELP, TYPE and UNIT lines by format, once they were exposed. */
  readonly headers: { [format in Format]?: Bytes } = {}
  /** Labels on every series. */
  readonly constantLabels: Record<string, LabelValue>

  #context: InstrumentContext
  #overflow: S | undefined
  /** Series that count against the cap. */
  #counted = 0
  /** The labels in alphabetical order, and what stands before the value of each. */
  readonly #sortedNames: Label[] = []
  readonly #before: Bytes[] = []
  /** What stands after the last value. */
  readonly #end: Bytes
  /** By these an observation is told from a label set. */
  readonly #observationKeys: readonly string[]

  constructor(options: InstrumentOptions<Label>, context: InstrumentContext, reservedLabel?: string) {
    const { name, help, labelNames = [], unit, maxSeries = context.maxSeries, aggregator = 'sum' } = options
    checkMetricName(name)
    if (typeof help !== 'string' || help === '') throw new InvalidOptionError('help', 'a text', help)
    if (maxSeries !== false && !(maxSeries >= 0)) throw new InvalidOptionError('maxSeries', 'a number ≥ 0', maxSeries)
    for (const label of labelNames) checkLabelName(label, reservedLabel)
    if (new Set(labelNames).size < labelNames.length) {
      throw new InvalidOptionError(`labelNames of ${name}`, 'names that differ', labelNames)
    }
    if (unit !== undefined && !name.replace(/_total$/, '').endsWith(`_${unit}`)) {
      throw new MetricMismatchError(name, `named with its unit as suffix`, unit)
    }
    this.name = name
    this.exposedName = name
    this.nameBytes = toName(name)
    this.help = help
    this.unit = unit
    this.labelNames = [...labelNames]
    this.#observationKeys = OBSERVATION_KEYS.filter((key) => !(labelNames as readonly string[]).includes(key))
    this.aggregator = aggregator
    this.maxSeries = maxSeries === false ? Infinity : maxSeries
    this.#context = context
    // Without a prototype no label is in it by inheritance (`constructor`).
    this.constantLabels = Object.create(null)
    for (const [label, value] of Object.entries(context.constantLabels)) {
      checkLabelName(label, reservedLabel)
      if (!labelNames.includes(label as Label)) this.constantLabels[label] = value
    }

    let before = ''
    for (const label of [...labelNames, ...Object.keys(this.constantLabels)].sort()) {
      before += `${before || this.#before.length > 0 ? ',' : ''}${label}="`
      if (label in this.constantLabels) {
        before += `${escapeLabelValue(this.constantLabels[label])}"`
      } else {
        this.#sortedNames.push(label as Label)
        this.#before.push(toBytes(before))
        before = '"'
      }
    }
    this.#end = toBytes(before)
  }

  /** The registry that asked for this instrument last. */
  get context(): InstrumentContext {
    return this.#context
  }

  /** A new series at zero. */
  protected abstract create(labels: Bytes): S
  /** A new series at zero that reports each observation to the label guard. */
  protected abstract createOverflow(labels: Bytes): S
  /** Sets a series back to zero. */
  protected abstract zero(series: S): void
  /** Writes the exposition lines of a series; returns their number. */
  abstract write(writer: ByteWriter, series: S, exemplars: boolean): number
  /**
   * The same lines as families of type `unknown`, which OpenMetrics takes from what is irregular: one for each name of the
   * samples, without exemplars.
   */
  get unknownFamilies(): UnknownFamily<S>[] {
    return [{ name: this.exposedName, write: (writer, series) => this.write(writer, series, false) }]
  }
  /** The samples of a series in prom-client's JSON form. */
  protected abstract samples(series: S): InstrumentSample[]

  /**
   * The series of a label set, made at zero when it is new. Bind it once and keep it: observing on it is a number add.
   * Beyond `maxSeries` the overflow series is returned. A kept series that is removed counts no more. Takes an object, or
   * as many values as there are labels; throws for a label that the instrument does not have.
   */
  labels(...labels: [Labels<Label>] | LabelValue[]): S {
    return this.find(this.#object(labels))
  }

  /** Like {@link labels}, for label sets known beforehand: outside of the cap, and never folded into the overflow series. */
  reserve(labels: Labels<Label>): S {
    const values = this.#encode(labels)
    const known = this.series.find()
    if (known !== undefined) {
      if (!known.isReserved) this.#counted -= 1
      known.isReserved = true
      return known
    }
    return this.#add(values, true)
  }

  /** Drops a series, so that it is no longer exposed. */
  remove(...labels: [Labels<Label>] | LabelValue[]): void {
    this.#encode(this.#object(labels))
    const removed = this.series.delete()
    if (removed?.isReserved === false) this.#counted -= 1
    if (removed === this.#overflow) this.#overflow = undefined
  }

  /** Sets every series back to zero. Prometheus sees a restart of the process. */
  reset(): void {
    for (const series of this.series.values()) this.zero(series)
  }

  /** What `registry.metrics()`, `getMetricsAsJSON()` and the clients' aggregation read, after the collectors have run. */
  async get(): Promise<InstrumentFamily> {
    await this.#context.collect()
    return { ...this.describe(), name: this.name }
  }

  /** The metric as it is now, in prom-client's JSON form. */
  describe(): InstrumentFamily {
    const { exposedName: name, help, type, aggregator, unit } = this
    const values: InstrumentSample[] = []
    for (const series of this.series.values()) {
      for (const sample of this.samples(series)) values.push(sample)
    }
    return { name, help, type, aggregator, ...(unit === undefined ? {} : { unit }), values }
  }

  /** Throws unless an instrument made with these options would be the same as this one. */
  assertSame(type: string, options: InstrumentOptions<Label>): void {
    const { labelNames = [] } = options
    if (type !== this.type) throw new MetricMismatchError(this.exposedName, `a ${this.type}`, `a ${type}`)
    // The order counts: `labels('a', 'b')` takes the values by it.
    if (labelNames.join() !== this.labelNames.join()) {
      throw new MetricMismatchError(this.exposedName, `labelled (${this.labelNames.join()})`, `(${labelNames.join()})`)
    }
  }

  /** The registry that asked for this instrument last is the one that hears of its overflow and runs its collectors. */
  adopt(context: InstrumentContext): void {
    this.#context = context
  }

  protected find(labels: Labels<Label>): S {
    const values = this.#encode(labels)
    const known = this.series.find()
    if (known !== undefined) return known
    if (this.labelNames.length === 0) return this.#add(values, true)
    if (this.#counted >= this.maxSeries) return this.#overflowSeries()
    return this.#add(values, false)
  }

  /** Adds the series of the labels that were encoded last. */
  #add(values: readonly string[], isReserved: boolean): S {
    // Values that happen to be those of the overflow series are folded into it, not replaced by it later.
    if (values.length > 0 && values.every((value) => value === OVERFLOW)) return this.#overflowSeries()
    const series = this.series.add((labels) => this.create(labels))
    series.isReserved = isReserved
    if (!isReserved) this.#counted += 1
    return series
  }

  /** Encodes a label set; returns its values as texts. */
  #encode(labels: Labels<Label>): string[] {
    for (const label in labels) {
      if (!this.labelNames.includes(label)) {
        throw new UnknownLabelError(this.exposedName, this.labelNames.join(', ') || 'none', label)
      }
    }
    // First all of them, since what makes a text of a value can be an application's own.
    const values: string[] = []
    for (const label of this.#sortedNames) values.push(labelValueText(labels[label]))
    encode(this.#before, values, this.#end)
    return values
  }

  /** Whether an argument is prom-client's `{ labels, value, exemplarLabels }`, and not a label set. */
  protected isObservation(
    argument: object,
  ): argument is { labels?: Labels<Label>; value?: number; exemplarLabels?: Record<string, string> } {
    for (const key of this.#observationKeys) if (key in argument) return true
    return false
  }

  #object(labels: [Labels<Label>] | LabelValue[]): Labels<Label> {
    const [first] = labels
    if (typeof first === 'object' && first !== null) return first
    if (labels.length !== this.labelNames.length) {
      throw new LabelCountError(this.exposedName, this.labelNames.join(', ') || 'none', labels.length)
    }
    const object: { [name in Label]?: LabelValue } = {}
    for (const [index, value] of (labels as LabelValue[]).entries()) object[this.labelNames[index]!] = value
    return object
  }

  #overflowSeries(): S {
    if (this.#overflow === undefined) {
      const values = this.#sortedNames.map(() => OVERFLOW)
      encode(this.#before, values, this.#end)
      this.#overflow = this.series.add((labels) => this.createOverflow(labels))
      this.#overflow.isReserved = true
    }
    return this.#overflow
  }
}

/** An instrument of any type. */
// biome-ignore lint/suspicious/noExplicitAny: an instrument takes its own series only, and the renderer hands it no other.
export type AnyInstrument = Instrument<any, any>

/** Returns whether a metric of a registry was created by this package. */
export function isInstrument(metric: unknown): metric is AnyInstrument {
  return metric instanceof Instrument
}

/** Returns the name of a family as text 0.0.4 exposes it. */
export function familyName(family: AnyInstrument | Family): string {
  return isInstrument(family) ? family.exposedName : family.name
}
