/**
 * How readings of the machine become values of metrics. A value that is not known is absent, never 0.
 *
 * @module
 */
import type { Counter, Gauge } from '@data20/metrics-core'

/** Removes the only series of an instrument and returns the instrument. The series is back with the next value. */
export function absent<Instrument extends Gauge | Counter>(instrument: Instrument): Instrument {
  instrument.remove()
  return instrument
}

/** Sets a gauge, or removes its series if the value is not known. */
export function show(gauge: Gauge, value: number | undefined): void {
  if (value === undefined) absent(gauge)
  else gauge.set(value)
}

/** Adds the increase of a system counter, or removes the series if the counter is not known. */
export function countUp(counter: Counter, last: number | undefined, now: number | undefined): void {
  if (now === undefined) absent(counter)
  else counter.inc(increase(last, now))
}

export function percentOf(part: number, whole: number): number {
  return (100 * part) / whole
}

/**
 * Returns the increase of a system counter between two readings. A counter that decreased was reset to zero in between;
 * Prometheus reads a decrease the same way.
 */
export function increase(last: number | undefined, now: number): number {
  return last === undefined || now < last ? now : now - last
}
