/**
 * Counts what is open now, and keeps its gauge right when the registry is reset: prom-client's `resetMetrics()` sets
 * every gauge to 0 while requests are in flight.
 *
 * @module
 */
import type { Gauge, GaugeSeries } from '@data20/metrics-core'
import { patch } from '@data20/metrics-core/plugin'

/** What is open of one series. The series shows the count; it is never read. */
export class OpenCount {
  #open = 0
  readonly #series: GaugeSeries

  constructor(series: GaugeSeries) {
    this.#series = series
  }

  begin(): void {
    this.#open += 1
    this.#series.set(this.#open)
  }

  end(): void {
    this.#open -= 1
    this.#series.set(this.#open)
  }

  /** Shows the count again. */
  show(): void {
    this.#series.set(this.#open)
  }
}

/** By gauge: routes with the same endpoint, and applications with the same registry, share a series and its count. */
const countsByGauge = new WeakMap<object, Map<GaugeSeries, OpenCount>>()

/** Returns the function that finds the count of a series of a gauge. A reset of the gauge leaves its counts. */
export function createOpenCounts(gauge: Gauge<string>): (series: GaugeSeries) => OpenCount {
  const counts = countsByGauge.get(gauge) ?? keepThroughReset(gauge)
  return (series) => {
    const known = counts.get(series)
    if (known !== undefined) return known
    const count = new OpenCount(series)
    counts.set(series, count)
    return count
  }
}

function keepThroughReset(gauge: Gauge<string>): Map<GaugeSeries, OpenCount> {
  const counts = new Map<GaugeSeries, OpenCount>()
  countsByGauge.set(gauge, counts)
  patch(gauge, 'reset', (reset) => {
    return function resetAndShow() {
      reset.call(this)
      for (const count of counts.values()) count.show()
    }
  })
  return counts
}
