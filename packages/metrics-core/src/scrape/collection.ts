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
  /**
   * Runs the collectors of this application and of all that share its registry, and reads the clients' metrics.
   * Resolves when all have ended or missed their deadline. With `budgetMs` it resolves then at the latest, and the
   * collection goes on.
   */
  collect(budgetMs?: number): Promise<unknown> | undefined
  /** Runs the collectors of this application only. */
  runCollectors(): Promise<unknown> | undefined
  /** Ends all waiting. */
  close(): void
}

/**
 * Creates the collection of one application. `context` is that of its own instruments.
 * See docs/decisions/0022-a-collection-has-its-own-deadline.md.
 */
export function createCollection(
  registry: RegistryLike,
  context: InstrumentContext,
  collectors: Collectors,
): Collection {
  const waiting = new Set<() => void>()
  let observing: Promise<unknown> | undefined
  let running: Promise<unknown> | undefined
  let collecting: Promise<unknown> | undefined

  return {
    collect(budgetMs) {
      collecting ??= collectAll()?.finally(() => {
        collecting = undefined
      })
      // A caller that announces nothing must not give up a moment before the collectors' own deadline.
      return budgetMs === undefined ? collecting : collecting && withDeadline(collecting, budgetMs, waiting)
    },

    runCollectors,

    close() {
      for (const stop of waiting) stop()
    },
  }

  function runCollectors(): Promise<unknown> | undefined {
    running ??= runAll()?.finally(() => {
      running = undefined
    })
    return running
  }

  /** The observers of the process run before everything else, so that they do not see the collection itself. */
  function runAll(): Promise<unknown> | undefined {
    observing = collectors.observe()
    return observing === undefined ? collectors.run() : observing.then(() => collectors.run())
  }

  function collectAll(): Promise<unknown> | undefined {
    const { instruments, clientMetrics } = metricsOf(registry)
    // Other applications that share the registry have instruments in it, and collectors behind them.
    const contexts = new Set([context])
    for (const instrument of instruments) for (const one of instrument.contexts) contexts.add(one)
    const pending = [...contexts].map((one) => one.collect())
    const read = () => collectors.read(clientMetrics)
    pending.push(observing === undefined || clientMetrics.length === 0 ? read() : observing.then(read))
    return pending.some((one) => one !== undefined) ? Promise.all(pending) : undefined
  }
}
