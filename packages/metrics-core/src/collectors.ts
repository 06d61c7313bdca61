/**
 * Collectors: functions that read a state (a pool's connections, a queue's length) when somebody scrapes. Each has a
 * deadline and stands alone: one that throws or hangs keeps its last values, shows in the metrics, and harms no other.
 *
 * @module
 */
import type { FastifyBaseLogger } from 'fastify'
import type { Gauge } from './gauge.ts'

/** Reads a state and sets gauges. `signal` aborts at the deadline; what it sets after that is exposed by the next scrape. */
export type Collect = (signal: AbortSignal) => void | Promise<void>

/** The gauges by which collectors are seen. */
export interface CollectorMetrics {
  success: Gauge<'collector'>
  duration: Gauge<'collector'>
  lastSuccess: Gauge<'collector'>
}

interface Collector {
  name: string
  collect: Collect
  timeoutMs: number
  /** A run that missed its deadline and has not ended yet; the collector is not started again meanwhile. */
  running: Promise<boolean> | undefined
  isFailing: boolean
}

/** The collectors of one application. */
export interface Collectors {
  /** Adds a collector; the function returned removes it. A name that is taken gets a number. */
  add(name: string, collect: Collect, timeoutMs?: number): () => void
  /** Runs all in parallel; resolves when each has ended or missed its deadline, at most `budgetMs` from now. Never rejects. */
  run(budgetMs: number): Promise<void>
  /** Reads one metric of a Prometheus client under the same conditions; `undefined` when it failed and never succeeded. */
  read<Family>(name: string, read: () => Family | Promise<Family>, budgetMs: number): Promise<Family | undefined>
  clear(): void
}

/** Makes the collectors of one application; `timeoutMs` is the deadline of those that have none of their own. */
export function createCollectors(metrics: CollectorMetrics, timeoutMs: number, log: FastifyBaseLogger): Collectors {
  const collectors = new Map<string, Collector>()
  const families = new Map<string, { collector: Collector; last: unknown }>()

  return {
    add(name, collect, ownTimeoutMs = timeoutMs) {
      let key = name
      for (let number = 2; collectors.has(key); number += 1) key = `${name}_${number}`
      const collector: Collector = { name: key, collect, timeoutMs: ownTimeoutMs, running: undefined, isFailing: false }
      collectors.set(key, collector)
      metrics.success.reserve({ collector: key })
      metrics.duration.reserve({ collector: key })
      metrics.lastSuccess.reserve({ collector: key })
      return () => {
        if (collectors.get(key) !== collector) return
        collectors.delete(key)
        for (const gauge of [metrics.success, metrics.duration, metrics.lastSuccess]) gauge.remove({ collector: key })
      }
    },

    async run(budgetMs) {
      await Promise.all(
        Array.from(collectors.values(), async (collector) => {
          const start = performance.now()
          const succeeded = await runOne(collector, budgetMs)
          report(collector, succeeded, (performance.now() - start) / 1000)
        }),
      )
    },

    async read<Family>(name: string, read: () => Family | Promise<Family>, budgetMs: number) {
      let entry = families.get(name)
      if (entry === undefined) {
        entry = {
          collector: { name, collect: () => {}, timeoutMs, running: undefined, isFailing: false },
          last: undefined,
        }
        families.set(name, entry)
      }
      const known = entry
      known.collector.collect = async () => {
        known.last = await read()
      }
      const start = performance.now()
      const succeeded = await runOne(known.collector, budgetMs)
      // Clients' metrics seldom fail, so a series is made for the first that does.
      if (!succeeded || known.collector.isFailing)
        report(known.collector, succeeded, (performance.now() - start) / 1000)
      return known.last as Family | undefined
    },

    clear() {
      collectors.clear()
      families.clear()
    },
  }

  async function runOne(collector: Collector, budgetMs: number): Promise<boolean> {
    if (collector.running !== undefined) return withDeadline(collector.running, Math.min(budgetMs, collector.timeoutMs))
    const deadline = new AbortController()
    const running = start(collector, deadline.signal)
    collector.running = running
    running.then(() => {
      collector.running = undefined
    })
    const succeeded = await withDeadline(running, Math.min(budgetMs, collector.timeoutMs))
    deadline.abort()
    return succeeded
  }

  async function start(collector: Collector, signal: AbortSignal): Promise<boolean> {
    try {
      await collector.collect(signal)
      return true
    } catch (error) {
      if (!collector.isFailing) log.warn({ err: error, collector: collector.name }, 'a metrics collector failed')
      return false
    }
  }

  function report(collector: Collector, succeeded: boolean, seconds: number): void {
    const labels = { collector: collector.name }
    metrics.success.reserve(labels).set(succeeded ? 1 : 0)
    metrics.duration.reserve(labels).set(seconds)
    if (succeeded) metrics.lastSuccess.reserve(labels).setToCurrentTime()
    if (collector.running !== undefined && !collector.isFailing) {
      log.warn({ collector: collector.name, seconds }, 'a metrics collector missed its deadline')
    }
    collector.isFailing = !succeeded
  }
}

/** False when the promise is not fulfilled in time. The timer never keeps the process alive. */
function withDeadline(promise: Promise<boolean>, milliseconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds, false)
    timer.unref()
    promise.then((succeeded) => {
      clearTimeout(timer)
      resolve(succeeded)
    })
  })
}
