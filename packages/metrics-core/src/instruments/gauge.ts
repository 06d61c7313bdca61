/**
 * Gauges: values that can increase and decrease.
 *
 * @module
 */

import { type Labels, parseLabels } from '../encoding/labels.ts'
import type { Bytes, ByteWriter } from '../encoding/writer.ts'
import { InvalidValueError } from '../errors.ts'
import type { InstrumentSample } from './family.ts'
import { Instrument, type InstrumentContext, type InstrumentOptions } from './instrument.ts'
import { Series } from './series-table.ts'

export interface GaugeOptions<Label extends string> extends InstrumentOptions<Label> {}

/** One bound series of a gauge. */
export class GaugeSeries extends Series {
  value = 0

  /**
   * Sets the value. Throws for a non-number and changes nothing. `NaN` and the infinities are allowed, as in
   * Prometheus.
   */
  set(value: number): void {
    if (typeof value !== 'number') throw new InvalidValueError(value)
    this.value = value
  }

  /** Adds `value`, a finite number. */
  inc(value = 1): void {
    if (!Number.isFinite(value)) throw new InvalidValueError(value)
    this.value += value
  }

  /** Subtracts `value`, a finite number. */
  dec(value = 1): void {
    if (!Number.isFinite(value)) throw new InvalidValueError(value)
    this.value -= value
  }

  /** Sets the value to the seconds since the epoch. */
  setToCurrentTime(): void {
    this.set(Date.now() / 1000)
  }

  /** Starts a timer. The function returned sets the value to the elapsed seconds and returns them. */
  startTimer(): () => number {
    const start = performance.now()
    return () => {
      const seconds = (performance.now() - start) / 1000
      this.set(seconds)
      return seconds
    }
  }
}

/** A gauge. `set`, `inc` and `dec` on a bound series are the fast path. */
export class Gauge<Label extends string = never> extends Instrument<Label, GaugeSeries> {
  readonly type = 'gauge'
  protected readonly observers: readonly string[] = ['set', 'inc', 'dec']

  constructor(options: GaugeOptions<Label>, context: InstrumentContext) {
    super(options, context)
    if (this.labelNames.length === 0) this.reserve({})
  }

  /** Sets the value: `set(1)` or `set({ device: 'eth0' }, 1)`. */
  set(value: number): void
  set(labels: Labels<Label>, value: number): void
  set(first: number | Labels<Label>, value?: number): void {
    if (isLabels(first)) this.find(first).set(value as number)
    else this.find({}).set(first)
  }

  /** Adds 1 or `value`: `inc()`, `inc(2)`, `inc({ device: 'eth0' }, 2)`. */
  inc(value?: number): void
  inc(labels: Labels<Label>, value?: number): void
  inc(first?: number | Labels<Label>, value?: number): void {
    if (isLabels(first)) this.find(first).inc(value)
    else this.find({}).inc(first)
  }

  /** Subtracts 1 or `value`: `dec()`, `dec(2)`, `dec({ device: 'eth0' }, 2)`. */
  dec(value?: number): void
  dec(labels: Labels<Label>, value?: number): void
  dec(first?: number | Labels<Label>, value?: number): void {
    if (isLabels(first)) this.find(first).dec(value)
    else this.find({}).dec(first)
  }

  /** Sets the value to the seconds since the epoch. */
  setToCurrentTime(labels: Labels<Label> = {}): void {
    this.find(labels).setToCurrentTime()
  }

  /** Starts a timer. The function returned sets the gauge to the elapsed seconds and returns them. */
  startTimer(labels: Labels<Label> = {}): (endLabels?: Labels<Label>) => number {
    const start = performance.now()
    return (endLabels) => {
      const seconds = (performance.now() - start) / 1000
      this.find({ ...labels, ...endLabels }).set(seconds)
      return seconds
    }
  }

  protected create(labels: Bytes): GaugeSeries {
    return new GaugeSeries(labels)
  }

  protected toZero(series: GaugeSeries): void {
    series.value = 0
  }

  write(writer: ByteWriter, series: GaugeSeries): number {
    writer.name(this.nameBytes, series)
    writer.value(series.value)
    return 1
  }

  protected samples({ labelText, value }: GaugeSeries): InstrumentSample[] {
    return [{ labels: parseLabels(labelText), value }]
  }
}

function isLabels<Label extends string>(first: number | Labels<Label> | undefined): first is Labels<Label> {
  return typeof first === 'object' && first !== null
}
