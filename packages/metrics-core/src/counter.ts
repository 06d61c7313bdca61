/**
 * Counters: sums that only grow.
 *
 * @module
 */
import { DecreaseError, InvalidValueError } from './errors.ts'
import { createExemplar, type Exemplar, type ExemplarLabels, formatExemplar } from './exemplar.ts'
import { Instrument, type InstrumentContext, type InstrumentOptions, type Sample, type Series } from './instrument.ts'
import { formatValue, type Labels, parseLabels } from './labels.ts'

export interface CounterOptions<Label extends string> extends InstrumentOptions<Label> {}

/** One bound series of a counter. */
export class CounterSeries implements Series {
  readonly labelText: string
  text = ''
  value = 0
  isReserved = false
  exemplar: Exemplar | undefined = undefined

  constructor(labelText: string) {
    this.labelText = labelText
  }

  /** Adds `value`, a finite number ≥ 0; anything else throws and changes nothing. */
  inc(value = 1, exemplarLabels?: ExemplarLabels): void {
    // One comparison on the good path: NaN, strings, -1 and Infinity all fail it.
    if (!(value >= 0 && value < Infinity) || typeof value !== 'number') throwIncrement(value)
    if (exemplarLabels !== undefined) this.exemplar = createExemplar(exemplarLabels, value)
    this.value += value
    this.text = ''
  }
}

function throwIncrement(value: unknown): never {
  if (typeof value === 'number' && value < 0 && value > -Infinity) throw new DecreaseError(value)
  throw new InvalidValueError(value)
}

class OverflowSeries extends CounterSeries {
  readonly #onObservation: () => void

  constructor(labelText: string, onObservation: () => void) {
    super(labelText)
    this.#onObservation = onObservation
  }

  override inc(value = 1, exemplarLabels?: ExemplarLabels): void {
    super.inc(value, exemplarLabels)
    this.#onObservation()
  }
}

/** A counter: `inc` on a bound series is the fast path, `inc(labels, value)` looks the series up each time. */
export class Counter<Label extends string = never> extends Instrument<Label, CounterSeries> {
  readonly type = 'counter'

  constructor(options: CounterOptions<Label>, context: InstrumentContext) {
    super(options, context)
    if (this.labelNames.length === 0) this.reserve({})
  }

  /** Adds 1 or `value`. Takes prom-client's forms: `inc()`, `inc(2)`, `inc({ method: 'GET' }, 2)`, `inc({ labels, value, exemplarLabels })`. */
  inc(value?: number): void
  inc(labels: Labels<Label>, value?: number): void
  inc(observation: { labels?: Labels<Label>; value?: number; exemplarLabels?: ExemplarLabels }): void
  inc(
    first?: number | Labels<Label> | { labels?: Labels<Label>; value?: number; exemplarLabels?: ExemplarLabels },
    value?: number,
  ): void {
    if (typeof first !== 'object' || first === null) this.find({}).inc(first ?? value)
    else if (this.isObservation(first)) this.find(first.labels ?? {}).inc(first.value, first.exemplarLabels)
    else this.find(first as Labels<Label>).inc(value)
  }

  protected create(labelText: string): CounterSeries {
    return new CounterSeries(labelText)
  }

  protected createOverflow(labelText: string): CounterSeries {
    return new OverflowSeries(labelText, () => this.context.onOverflow(this.exposedName, this.maxSeries))
  }

  protected zero(series: CounterSeries): void {
    series.value = 0
    series.text = ''
    series.exemplar = undefined
  }

  render(series: CounterSeries, exemplars: boolean): string {
    const { labelText, value, exemplar } = series
    const sample = labelText === '' ? `${this.exposedName} ` : `${this.exposedName}{${labelText}} `
    return exemplars && exemplar
      ? `${sample + formatValue(value) + formatExemplar(exemplar)}\n`
      : `${sample + formatValue(value)}\n`
  }

  protected samples({ labelText, value, exemplar }: CounterSeries): Sample[] {
    const sample: Sample = { labels: parseLabels(labelText), value }
    if (exemplar) sample.exemplar = { labelSet: exemplar.labels, value: exemplar.value, timestamp: exemplar.timestamp }
    return [sample]
  }
}
