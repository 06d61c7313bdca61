/**
 * Collectors: functions that read a state (a pool's connections, a queue's length) at each scrape. Each has a deadline
 * and is isolated: when one throws or hangs, its last values are exposed, the metrics show the failure, and no other
 * collector notices.
 *
 * @module
 */
import type { FastifyBaseLogger } from 'fastify'
import { checkTimeout } from '../checks.ts'
import type { ClientMetric, Family } from '../instruments/family.ts'
import type { Gauge, GaugeSeries } from '../instruments/gauge.ts'
import { withDeadline } from './deadline.ts'
import { checkFamily } from './foreign.ts'

/**
 * Reads a state and sets gauges. `signal` aborts at the deadline, `budgetMs` from now, whatever the scrapers that wait
 * for it say. Values set later are exposed by the next scrape.
 */
export type Collect = (signal: AbortSignal, budgetMs: number) => void | Promise<void>

/** The gauges that describe collectors. */
export interface CollectorMetrics {
  success: Gauge<'collector'>
  duration: Gauge<'collector'>
  lastSuccess: Gauge<'collector'>
}

interface Collector {
  name: string
  collect: Collect
  timeoutMs: number
  /** The current run, also after it missed its deadline. The collector is not started again until it ends. */
  running: Promise<boolean> | undefined
  isFailing: boolean
  /** It looks at the process itself. */
  isObserver: boolean
}

/** Options of a collector. */
export interface CollectorOptions {
  /** Deadline in milliseconds. @default `collectorTimeoutMs` */
  timeoutMs?: number | undefined
  /** It looks at the process itself, and runs before all others. @default false */
  isObserver?: boolean
}

/** The collectors of one application. */
export interface Collectors {
  /** Adds a collector; the function returned removes it. A name that is taken gets a number appended. */
  add(name: string, collect: Collect, options?: CollectorOptions): () => void
  /**
   * Runs the observers of the process in parallel. Resolves when each has ended or missed its deadline. Never rejects.
   * Returns `undefined` when there are none.
   */
  observe(): Promise<unknown> | undefined
  /** Runs all other collectors under the same conditions. */
  run(): Promise<unknown> | undefined
  /** Reads metrics of the clients' own classes under the same conditions. */
  read(metrics: readonly ClientMetric[]): Promise<unknown> | undefined
  /** Returns a client's metric as it was last read; `undefined` when it was never read successfully. */
  last(metric: ClientMetric): Family | undefined
  /** Removes all collectors and ends all waiting for them. */
  clear(): void
}

/** What the collectors of an application share. */
export interface CollectorContext {
  metrics: CollectorMetrics
  /** The deadline of collectors without their own. */
  timeoutMs: number
  log: FastifyBaseLogger
  /** Hears of a client's metric that Prometheus would refuse, each time it is read. */
  onRefused(metric: ClientMetric, error: unknown): void
}

/** Creates the collectors of one application. */
export function createCollectors({ metrics, timeoutMs, log, onRefused }: CollectorContext): Collectors {
  const collectors = new Map<string, Collector>()
  const readers = new WeakMap<ClientMetric, Collector>()
  const families = new WeakMap<ClientMetric, Family>()
  /** Clients' metrics that failed at least once, and therefore have series. */
  const reported = new Set<ClientMetric>()
  const waiting = new Set<() => void>()

  return {
    add(name, collect, { timeoutMs: ownTimeoutMs = timeoutMs, isObserver = false } = {}) {
      checkTimeout(ownTimeoutMs, `timeoutMs of ${name}`)
      let key = name
      for (let number = 2; collectors.has(key); number += 1) key = `${name}_${number}`
      const collector = createCollector(key, collect, { timeoutMs: ownTimeoutMs, isObserver })
      collectors.set(key, collector)
      seriesOf(key)
      return () => remove(collector)
    },

    observe: () => runEach([...collectors.values()].filter(({ isObserver }) => isObserver)),

    run: () => runEach([...collectors.values()].filter(({ isObserver }) => !isObserver)),

    read(clientMetrics) {
      for (const metric of reported) {
        if (clientMetrics.includes(metric)) continue
        reported.delete(metric)
        removeSeries(readers.get(metric)!.name)
      }
      if (clientMetrics.length === 0) return undefined
      return Promise.all(
        clientMetrics.map(async (metric) => {
          const reader = readers.get(metric) ?? createReader(metric)
          readers.set(metric, reader)
          const start = performance.now()
          const succeeded = await runOne(reader)
          // A client's metric seldom fails, so its series are created at its first failure.
          if (succeeded && !reader.isFailing) return
          reported.add(metric)
          report(reader, succeeded, (performance.now() - start) / 1000)
        }),
      )
    },

    last: (metric) => families.get(metric),

    clear() {
      for (const collector of collectors.values()) remove(collector)
      for (const stop of waiting) stop()
    },
  }

  function runEach(several: Collector[]): Promise<unknown> | undefined {
    if (several.length === 0) return undefined
    return Promise.all(
      several.map(async (collector) => {
        const start = performance.now()
        const succeeded = await runOne(collector)
        // The collector can be removed while it runs.
        if (isKnown(collector)) report(collector, succeeded, (performance.now() - start) / 1000)
      }),
    )
  }

  function isKnown(collector: Collector): boolean {
    return collectors.get(collector.name) === collector
  }

  function remove(collector: Collector): void {
    if (!isKnown(collector)) return
    collectors.delete(collector.name)
    removeSeries(collector.name)
  }

  function removeSeries(collector: string): void {
    for (const gauge of [metrics.success, metrics.duration, metrics.lastSuccess]) gauge.remove({ collector })
  }

  /** Looks them up each time: another application with the same registry removes them when it closes. */
  function seriesOf(collector: string): Record<'success' | 'duration', GaugeSeries> {
    return { success: metrics.success.reserve({ collector }), duration: metrics.duration.reserve({ collector }) }
  }

  function createReader(metric: ClientMetric): Collector {
    const collect = async () => {
      const family = await metric.get()
      if (!Array.isArray(family?.values)) throw new TypeError(`Expected metric ${metric.name} to have values, got none`)
      try {
        families.set(metric, checkFamily(metric, family))
      } catch (error) {
        families.delete(metric)
        onRefused(metric, error)
      }
    }
    return createCollector(String(metric.name), collect, { timeoutMs, isObserver: false })
  }

  async function runOne(collector: Collector): Promise<boolean> {
    const { timeoutMs } = collector
    if (collector.running !== undefined) return withDeadline(collector.running, timeoutMs, waiting)
    const deadline = new AbortController()
    const running = start(collector, deadline.signal)
    collector.running = running
    running.then(() => {
      collector.running = undefined
    })
    const succeeded = await withDeadline(running, timeoutMs, waiting)
    deadline.abort()
    return succeeded
  }

  async function start(collector: Collector, signal: AbortSignal): Promise<boolean> {
    try {
      await collector.collect(signal, collector.timeoutMs)
      return true
    } catch (error) {
      if (!collector.isFailing) log.warn({ err: error, collector: collector.name }, 'a metrics collector failed')
      return false
    }
  }

  function report(collector: Collector, succeeded: boolean, seconds: number): void {
    const { success, duration } = seriesOf(collector.name)
    success.set(succeeded ? 1 : 0)
    duration.set(seconds)
    // Absent before the first success.
    if (succeeded) metrics.lastSuccess.reserve({ collector: collector.name }).setToCurrentTime()
    if (collector.running !== undefined && !collector.isFailing) {
      log.warn({ collector: collector.name, seconds }, 'a metrics collector missed its deadline')
    }
    collector.isFailing = !succeeded
  }
}

function createCollector(
  name: string,
  collect: Collect,
  { timeoutMs, isObserver }: Pick<Collector, 'timeoutMs' | 'isObserver'>,
): Collector {
  return { name, collect, timeoutMs, isObserver, running: undefined, isFailing: false }
}
