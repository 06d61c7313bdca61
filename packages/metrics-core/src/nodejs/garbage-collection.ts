/**
 * Duration of garbage collections, every one of them.
 *
 * @module
 */
import { constants, PerformanceObserver } from 'node:perf_hooks'
import type { Metrics } from '../create-metrics.ts'
import { definitions, type GC_KINDS } from './metrics.ts'

/** The number by which `perf_hooks` names each kind. */
const KIND_NUMBERS: Record<(typeof GC_KINDS)[number], number> = {
  major: constants.NODE_PERFORMANCE_GC_MAJOR,
  minor: constants.NODE_PERFORMANCE_GC_MINOR,
  incremental: constants.NODE_PERFORMANCE_GC_INCREMENTAL,
  weakcb: constants.NODE_PERFORMANCE_GC_WEAKCB,
}

/**
 * One observer for each histogram: applications that share a registry share the observer, so nothing is counted twice.
 */
const observers = new WeakMap<object, { users: number; stop(): void }>()

/** Adds the histogram; the function returned stops the observer after its last user. */
export function addGarbageCollection(metrics: Metrics): () => void {
  const duration = metrics.histogram(definitions.gcDuration)
  const known = observers.get(duration)
  if (known !== undefined) {
    known.users += 1
    return known.stop
  }
  const byKind = new Map(Object.entries(KIND_NUMBERS).map(([kind, number]) => [number, duration.reserve({ kind })]))
  const observer = new PerformanceObserver((list) => {
    // One callback can bring several collections.
    for (const entry of list.getEntries()) {
      byKind.get((entry as unknown as { detail: { kind: number } }).detail.kind)?.observe(entry.duration / 1000)
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  const shared = { users: 1, stop }
  observers.set(duration, shared)
  return stop

  function stop(): void {
    shared.users -= 1
    if (shared.users > 0) return
    observer.disconnect()
    observers.delete(duration)
  }
}
