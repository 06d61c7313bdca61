/**
 * What runs before an exposition is rendered: collectors, and the reading of the clients' own metrics. Scrapes that
 * arrive while a collection runs share it.
 *
 * @module
 */
import type { InstrumentContext } from '../instruments/instrument.ts'
import type { RegistryLike } from '../options.ts'
import type { Collectors } from './collectors.ts'
import { withDeadline } from './deadline.ts'
import { metricsOf } from './families.ts'

/** Neither function rejects. Both return `undefined` when there is nothing to wait for. */
export interface Collection {
  /** Runs the collectors of this application and of all that share its registry, and reads the clients' metrics. */
  collect(budgetMs: number): Promise<unknown> | undefined
  /** Runs the collectors of this application only. */
  runCollectors(budgetMs?: number): Promise<unknown> | undefined
  /** Ends all waiting. */
  close(): void
}

/** Creates the collection of one application. `context` is that of its own instruments. */
export function createCollection(
  registry: RegistryLike,
  context: InstrumentContext,
  collectors: Collectors,
  collectorTimeoutMs: number,
): Collection {
  const waiting = new Set<() => void>()
  let running: Promise<unknown> | undefined
  let collecting: Promise<unknown> | undefined

  return {
    /** The first caller starts the collection; the others share it, and wait no longer than their own budget. */
    collect(budgetMs) {
      collecting ??= collectAll(budgetMs)?.finally(() => {
        collecting = undefined
      })
      return collecting && withDeadline(collecting, budgetMs, waiting)
    },

    runCollectors(budgetMs = collectorTimeoutMs) {
      running ??= collectors.run(budgetMs)?.finally(() => {
        running = undefined
      })
      return running && withDeadline(running, budgetMs, waiting)
    },

    close() {
      for (const stop of waiting) stop()
    },
  }

  function collectAll(budgetMs: number): Promise<unknown> | undefined {
    const { instruments, clientMetrics } = metricsOf(registry)
    // Other applications that share the registry have instruments in it, and collectors behind them.
    const contexts = new Set([context])
    for (const instrument of instruments) contexts.add(instrument.context)

    const pending: Array<Promise<unknown>> = []
    const reading = collectors.read(clientMetrics, budgetMs)
    if (reading !== undefined) pending.push(reading)
    for (const one of contexts) {
      const collected = one.collect(budgetMs)
      if (collected !== undefined) pending.push(collected)
    }
    return pending.length > 0 ? Promise.all(pending) : undefined
  }
}
