/**
 * Shows the concurrency and the local pause of the workers of this process.
 *
 * @module
 */
import type { Metrics } from '@data20/metrics-core'
import type { ObservableWorker } from './bullmq.ts'
import type { Instruments } from './instruments.ts'

export interface WorkerState {
  /** Shows a worker until the function returned is called. */
  add(queue: string, worker: ObservableWorker): () => void
}

/** Both values are properties without events: they are read on each scrape, without the broker. */
export function observeWorkerState(metrics: Metrics, instruments: Instruments): WorkerState {
  const workersOf = new Map<string, Set<ObservableWorker>>()
  let remove: (() => void) | undefined

  return { add }

  function add(queue: string, worker: ObservableWorker): () => void {
    const workers = workersOf.get(queue) ?? new Set()
    workersOf.set(queue, workers.add(worker))
    show(queue)
    remove ??= metrics.collector('queue-workers', showAll)
    return () => {
      workers.delete(worker)
      if (workers.size === 0) workersOf.delete(queue)
      show(queue)
      if (workersOf.size > 0) return
      remove?.()
      remove = undefined
    }
  }

  function showAll(): void {
    for (const queue of workersOf.keys()) show(queue)
  }

  function show(queue: string): void {
    const workers = workersOf.get(queue)
    if (workers === undefined) {
      instruments.setWorkers(queue, undefined)
      return
    }
    let concurrency = 0
    let paused = 0
    for (const worker of workers) {
      concurrency += worker.concurrency
      if (worker.isPaused()) paused += 1
    }
    instruments.setWorkers(queue, { concurrency, paused })
  }
}
