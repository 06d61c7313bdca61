/**
 * Delay and utilization of the event loop.
 *
 * @module
 */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import type { Metrics } from '../create-metrics.ts'
import { definitions } from './metrics.ts'

/**
 * Scrapes within this many milliseconds see the same window of delays, so that two scrapers do not halve each other's.
 */
const DELAY_WINDOW_MS = 5000

/** Interval of the samples. Node.js measures from one sample to the next, so each includes the interval. */
const RESOLUTION_MS = 10

/**
 * Adds the metrics of the event loop, read by the collector `event_loop`; the function returned stops the histogram of
 * delays.
 */
export function addEventLoop(metrics: Metrics): () => void {
  const lag = metrics.gauge(definitions.lag)
  const delays = {
    min: metrics.gauge(definitions.lagMin),
    max: metrics.gauge(definitions.lagMax),
    mean: metrics.gauge(definitions.lagMean),
    deviation: metrics.gauge(definitions.lagDeviation),
    p50: metrics.gauge(definitions.lagP50),
    p90: metrics.gauge(definitions.lagP90),
    p99: metrics.gauge(definitions.lagP99),
  }
  const utilization = metrics.gauge(definitions.utilization)
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  histogram.enable()
  let windowStart = -Infinity
  let lastUtilization = performance.eventLoopUtilization()

  const collect = async () => {
    const start = performance.now()
    if (start - windowStart > DELAY_WINDOW_MS) {
      windowStart = start
      readWindow()
    }
    await setImmediate()
    lag.set((performance.now() - start) / 1000)
  }
  const remove = metrics.collector('event_loop', collect, { isObserver: true })
  return () => {
    histogram.disable()
    remove()
  }

  function readWindow(): void {
    const now = performance.eventLoopUtilization()
    utilization.set(performance.eventLoopUtilization(now, lastUtilization).utilization)
    lastUtilization = now
    // The minimum of an empty histogram is 9e18, its mean NaN.
    if (histogram.count === 0) return
    delays.min.set(delaySeconds(histogram.min))
    delays.max.set(delaySeconds(histogram.max))
    delays.mean.set(delaySeconds(histogram.mean))
    delays.deviation.set(histogram.stddev / 1e9)
    delays.p50.set(delaySeconds(histogram.percentile(50)))
    delays.p90.set(delaySeconds(histogram.percentile(90)))
    delays.p99.set(delaySeconds(histogram.percentile(99)))
    histogram.reset()
  }
}

/** A timer can fire a little early, but a delay is never negative. */
function delaySeconds(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1000)
}
