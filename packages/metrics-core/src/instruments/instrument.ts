/**
 * What counter, gauge and histogram share: series by label set with a cardinality limit. An instrument is at the same
 * time a valid metric of a prom-client `Registry`.
 *
 * @module
 */
import type { LabelKey } from '../encoding/label-bytes.ts'
import { checkMetricName, type Labels, type LabelValue } from '../encoding/labels.ts'
import type { Format } from '../encoding/negotiate.ts'
import { type Bytes, type ByteWriter, type Name, toName } from '../encoding/writer.ts'
import { InvalidOptionError, MetricMismatchError } from '../errors.ts'
import { patch } from '../patch.ts'
import type { Aggregator, Family, InstrumentFamily, InstrumentSample } from './family.ts'
import { type LabelContext, LabelSchema } from './label-schema.ts'
import { type Series, SeriesTable } from './series-table.ts'

/** Options of every instrument. */
export interface InstrumentOptions<Label extends string> {
  /** `<stem>_<thing>_<unit>`, ending in `_total` for a counter. Public API once people query it. */
  name: string
  /** One sentence that a newcomer understands. */
  help: string
  /** Label names, in the order in which `labels('a', 'b')` takes their values. @default [] */
  labelNames?: readonly Label[]
  /** Base unit, which must be the name's suffix (`seconds`); written as `# UNIT` in OpenMetrics. */
  unit?: string
  /**
   * The cardinality limit: series beyond those reserved. Label sets beyond it share one overflow series. `false` sets
   * no limit. @default the plugin's `maxSeries`
   */
  maxSeries?: number | false
  /** How the metric of several cluster workers is combined into one. @default 'sum' */
  aggregator?: Aggregator
  /**
   * The value is a state that nothing sets again (a version, what is in progress): `reset()` leaves it as it is.
   * @default false
   */
  isState?: boolean
  /**
   * Sets the values at each scrape, with the instrument as `this`, as a collector of its name: `metrics.collector()`
   * with less to write. Ignored where the instrument exists already.
   */
  collect?: (this: never) => void | Promise<void>
}

/** What all instruments of one application share. */
export interface InstrumentContext extends LabelContext {
  maxSeries: number
  /** Called for each observation on an overflow series. */
  onOverflow(metric: string, maxSeries: number): void
  /** Runs the application's collectors. Never rejects; returns `undefined` when there are none. */
  collect(): Promise<unknown> | undefined
}

/** A part of an instrument that is exposed as a family of its own. */
export interface UnknownFamily<S extends Series> {
  name: string
  /** Writes the lines of a series; returns their number. */
  write(writer: ByteWriter, series: S): number
}

/** The value of every label of an overflow series. */
export const OVERFLOW = '__overflow__'

/**
 * A metric with its series. A series takes some hundred bytes and is created once per label set. Bind it with
 * `labels()` where events are frequent, and keep it.
 */
export abstract class Instrument<Label extends string, S extends Series> {
  /** The name that the clients see: their OpenMetrics rendering cuts `_total` off it for good. */
  readonly name: string
  /** The name as it was given, which is the one exposed. */
  readonly exposedName: string
  protected readonly nameBytes: Name
  readonly help: string
  readonly unit: string | undefined
  readonly labelNames: readonly Label[]
  readonly aggregator: Aggregator
  readonly maxSeries: number
  abstract readonly type: 'counter' | 'gauge' | 'histogram'
  /** Names of the series' methods that observe. */
  protected abstract readonly observers: readonly string[]

  readonly series: SeriesTable<S> = new SeriesTable()
  /** The HELP, TYPE and UNIT lines by format, kept from the first exposition on. */
  readonly headers: { [format in Format]?: Bytes } = {}
  /** Labels on every series. */
  readonly constantLabels: Record<string, LabelValue>

  readonly #contexts = new Set<InstrumentContext>()
  readonly #isState: boolean
  readonly #schema: LabelSchema<Label>
  #overflow: S | undefined
  /** Series that count against the cardinality limit. */
  #counted = 0

  constructor(options: InstrumentOptions<Label>, context: InstrumentContext, reservedLabel?: string) {
    const {
      name,
      help,
      labelNames = [],
      unit,
      maxSeries = context.maxSeries,
      aggregator = 'sum',
      isState = false,
    } = options
    checkMetricName(name)
    if (typeof help !== 'string' || help === '') throw new InvalidOptionError('help', 'a non-empty string', help)
    if (maxSeries !== false && !(maxSeries >= 0)) throw new InvalidOptionError('maxSeries', 'a number ≥ 0', maxSeries)
    this.#schema = new LabelSchema(name, labelNames, context, reservedLabel)
    if (unit !== undefined && !name.replace(/_total$/, '').endsWith(`_${unit}`)) {
      throw new MetricMismatchError(name, `named with its unit as suffix`, unit)
    }
    this.name = name
    this.exposedName = name
    this.nameBytes = toName(name)
    this.help = help
    this.unit = unit
    this.labelNames = this.#schema.names
    this.constantLabels = this.#schema.constantLabels
    this.aggregator = aggregator
    this.maxSeries = maxSeries === false ? Infinity : maxSeries
    this.#isState = isState
    this.#contexts.add(context)
  }

  /** The contexts of all live applications that have asked for this instrument. */
  get contexts(): Iterable<InstrumentContext> {
    return this.#contexts
  }

  /** Creates a series at zero. */
  protected abstract create(labels: Bytes): S
  /** Sets a series back to zero. */
  protected abstract toZero(series: S): void
  /** Writes the exposition lines of a series; returns their number. */
  abstract write(writer: ByteWriter, series: S, exemplars: boolean): number
  /** Returns the samples of a series in prom-client's JSON form. */
  protected abstract samples(series: S): InstrumentSample[]
  /**
   * The same lines as families of type `unknown`, one for each name of the samples, without exemplars. OpenMetrics
   * accepts an irregular metric only in this form.
   */
  get unknownFamilies(): UnknownFamily<S>[] {
    return [{ name: this.exposedName, write: (writer, series) => this.write(writer, series, false) }]
  }

  /**
   * Returns the series of a label set, and creates it at zero when it is new. Bind it once and keep it: observing on it
   * is one addition. Beyond `maxSeries` it returns the overflow series. Updates to a removed series are dropped. Takes
   * an object, or one value for each label; throws for a label that the instrument does not have.
   */
  labels(...labels: [Labels<Label>] | LabelValue[]): S {
    return this.find(this.#schema.toObject(labels))
  }

  /** Like {@link labels}, for label sets known beforehand: they do not count against the cardinality limit. */
  reserve(labels: Labels<Label>): S {
    return this.reserveSeries(labels)
  }

  /** {@link reserve}, with a way to create the series if it is new. */
  protected reserveSeries(labels: Labels<Label>, create?: (labels: Bytes) => S): S {
    const values = this.#schema.values(labels)
    const key = this.#schema.encode(values)
    const known = this.series.find(key)
    if (known === undefined) return this.#add(key, values, true, create)
    if (!known.isReserved) this.#counted -= 1
    known.isReserved = true
    return known
  }

  /** Removes a series from the exposition. */
  remove(...labels: [Labels<Label>] | LabelValue[]): void {
    const values = this.#schema.values(this.#schema.toObject(labels))
    const removed = this.series.delete(this.#schema.encode(values))
    if (removed?.isReserved === false) this.#counted -= 1
    if (removed === this.#overflow) this.#overflow = undefined
  }

  /** Sets every series back to zero, unless it is a state. Prometheus sees a restart of the process. */
  reset(): void {
    if (this.#isState) return
    for (const series of this.series.values()) this.toZero(series)
  }

  /**
   * Runs the collectors and returns the metric in prom-client's JSON form: the clients' registries and aggregation call
   * it.
   */
  async get(): Promise<InstrumentFamily> {
    await Promise.all(Array.from(this.#contexts, (context) => context.collect()))
    return { ...this.describe(), name: this.name }
  }

  /** Returns the metric as it is now, in prom-client's JSON form. */
  describe(): InstrumentFamily {
    const { exposedName: name, help, type, aggregator, unit } = this
    const values: InstrumentSample[] = []
    for (const series of this.series.values()) {
      for (const sample of this.samples(series)) values.push(sample)
    }
    return { name, help, type, aggregator, ...(unit === undefined ? {} : { unit }), values }
  }

  /** Throws unless an instrument created with these options would be the same as this one. */
  assertSame(type: string, options: InstrumentOptions<Label>): void {
    const { labelNames = [] } = options
    if (type !== this.type) throw new MetricMismatchError(this.exposedName, `a ${this.type}`, `a ${type}`)
    // The order matters: `labels('a', 'b')` takes the values by it.
    if (labelNames.join() !== this.labelNames.join()) {
      throw new MetricMismatchError(this.exposedName, `labelled (${this.labelNames.join()})`, `(${labelNames.join()})`)
    }
  }

  /** Adds an application, which hears of overflow and whose collectors run. */
  adopt(context: InstrumentContext): void {
    this.#contexts.add(context)
  }

  /** Forgets an application that has closed. */
  release(context: InstrumentContext): void {
    this.#contexts.delete(context)
  }

  protected find(labels: Labels<Label>): S {
    const values = this.#schema.values(labels)
    const key = this.#schema.encode(values)
    const known = this.series.find(key)
    if (known !== undefined) return known
    if (this.labelNames.length === 0) return this.#add(key, values, true)
    if (this.#counted >= this.maxSeries) return this.#overflowSeries()
    return this.#add(key, values, false)
  }

  protected isObservation(
    argument: object,
  ): argument is { labels?: Labels<Label>; value?: number; exemplarLabels?: Record<string, string> } {
    return this.#schema.isObservation(argument)
  }

  #add(key: LabelKey, values: readonly string[], isReserved: boolean, create?: (labels: Bytes) => S): S {
    // A label set that equals that of the overflow series shares it, and is not replaced by it later.
    if (values.length > 0 && values.every((value) => value === OVERFLOW)) return this.#overflowSeries()
    const series = this.series.add(key, create ?? ((labels) => this.create(labels)))
    series.isReserved = isReserved
    if (!isReserved) this.#counted += 1
    return series
  }

  #overflowSeries(): S {
    this.#overflow ??= this.#createOverflowSeries()
    return this.#overflow
  }

  /** Creates a series that reports each observation. */
  #createOverflowSeries(): S {
    const key = this.#schema.encode(this.labelNames.map(() => OVERFLOW))
    const overflow = this.series.add(key, (labels) => this.create(labels))
    overflow.isReserved = true
    const report = () => {
      // Applications that share a registry share the counter too.
      const [context] = this.#contexts
      context?.onOverflow(this.exposedName, this.maxSeries)
    }
    for (const observer of this.observers) {
      patch(overflow, observer, (observe) => {
        return function (this: unknown, ...args) {
          observe.apply(this, args)
          report()
        }
      })
    }
    return overflow
  }
}

/** An instrument of any type. */
// biome-ignore lint/suspicious/noExplicitAny: an instrument takes its own series only.
export type AnyInstrument = Instrument<any, any>

/** Returns whether a metric of a registry was created by this package. */
export function isInstrument(metric: unknown): metric is AnyInstrument {
  return metric instanceof Instrument
}

/** Returns the name of a family as text 0.0.4 exposes it. */
export function familyName(family: AnyInstrument | Family): string {
  return isInstrument(family) ? family.exposedName : family.name
}
