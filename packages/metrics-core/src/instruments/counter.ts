/**
 * Counters: values that only increase.
 *
 * @module
 */

import { type Labels, parseLabels } from '../encoding/labels.ts'
import type { Bytes, ByteWriter } from '../encoding/writer.ts'
import { DecreaseError, InvalidValueError } from '../errors.ts'
import { createExemplar, type Exemplar, type ExemplarLabels, formatExemplar } from './exemplar.ts'
import type { InstrumentSample } from './family.ts'
import { Instrument, type InstrumentContext, type InstrumentOptions } from './instrument.ts'
import { Series } from './series-table.ts'

export interface CounterOptions<Label extends string> extends InstrumentOptions<Label> {}

/** One bound series of a counter. */
export class CounterSeries extends Series {
  value = 0
  declare exemplar?: Exemplar | undefined

  /** Adds `value`, a finite number ≥ 0. Throws for anything else and changes nothing. */
  inc(value = 1, exemplarLabels?: ExemplarLabels): void {
    // One condition on the hot path: NaN, strings, -1 and Infinity all fail it.
    if (!(value >= 0 && value < Infinity) || typeof value !== 'number') throwIncrement(value)
    this.value += value
    if (exemplarLabels !== undefined) this.exemplar = createExemplar(exemplarLabels, value) ?? this.exemplar
  }
}

function throwIncrement(value: unknown): never {
  if (typeof value === 'number' && value < 0 && value > -Infinity) throw new DecreaseError(value)
  throw new InvalidValueError(value)
}

/** A counter. `inc` on a bound series is the fast path; `inc(labels, value)` looks the series up each time. */
export class Counter<Label extends string = never> extends Instrument<Label, CounterSeries> {
  readonly type = 'counter'
  protected readonly observers: readonly string[] = ['inc']

  constructor(options: CounterOptions<Label>, context: InstrumentContext) {
    super(options, context)
    if (this.labelNames.length === 0) this.reserve({})
  }

  /**
   * Adds 1 or `value`. Takes prom-client's forms: `inc()`, `inc(2)`, `inc({ method: 'GET' }, 2)`, `inc({ labels, value,
   * exemplarLabels })`.
   */
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

  protected create(labels: Bytes): CounterSeries {
    return new CounterSeries(labels)
  }

  protected toZero(series: CounterSeries): void {
    series.value = 0
    series.exemplar = undefined
  }

  write(writer: ByteWriter, series: CounterSeries, exemplars: boolean): number {
    const { value, exemplar } = series
    writer.name(this.nameBytes, series)
    writer.value(value, exemplars && exemplar !== undefined ? formatExemplar(exemplar) : undefined)
    return 1
  }

  protected samples({ labelText, value, exemplar }: CounterSeries): InstrumentSample[] {
    const sample: InstrumentSample = { labels: parseLabels(labelText), value }
    if (exemplar) sample.exemplar = { labelSet: exemplar.labels, value: exemplar.value, timestamp: exemplar.timestamp }
    return [sample]
  }
}
