/**
 * A queue, watched: what the broker says of it at each scrape.
 *
 * @module
 */
import type { Metrics } from '@data20/metrics-core'
import type { Instruments } from './instruments.ts'
import { STATES } from './metrics.ts'
import { createOldestReader } from './oldest.ts'

/** As much of BullMQ's `Queue` as is used; every Queue is one, whatever its types and its backend. */
export interface WatchedQueue {
  readonly name: string
  /** Set from the call of `close()` on. */
  readonly closing: Promise<void> | undefined
  getJobCounts(...states: string[]): Promise<Record<string, number>>
  getWorkersCount(): Promise<number>
  isPaused(): Promise<boolean>
  getBackend(): object
}

export function isQueue(target: unknown): target is WatchedQueue {
  return typeof (target as Partial<WatchedQueue> | null | undefined)?.getJobCounts === 'function'
}

/**
 * Reads a queue's state at each scrape until it is closed, or until the function returned is called. `onClosed` is called
 * in the first case.
 */
export function watchQueue(
  queue: WatchedQueue,
  instruments: Instruments,
  metrics: Metrics,
  onClosed: () => void,
): () => void {
  const label = { queue: queue.name }
  const { length, jobs, oldestWaiting, workers, paused, up } = instruments
  const series = instruments.methodFor(queue.name)
  const readOldestDueMs = createOldestReader(queue)

  for (const gauge of [length, oldestWaiting, workers, paused, up]) gauge[series](label)
  for (const state of STATES) jobs[series]({ ...label, state })

  return metrics.collector(`queue:${queue.name}`, collect)

  async function collect(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', onDeadline)
    try {
      if (!(await hasCounted())) return stop()
      // What a broker may refuse (to list its clients) or store in another way makes the collector fail, and is not its being down.
      await Promise.all([readPaused(), readWorkers(), readOldest()])
    } finally {
      // The signal aborts after each run, in time or not.
      signal.removeEventListener('abort', onDeadline)
    }
  }

  /** Whether the broker is up is whether it counts. False for a queue that is closed. */
  async function hasCounted(): Promise<boolean> {
    if (queue.closing !== undefined) return false
    try {
      await readCounts()
    } catch (error) {
      // Closed while it was read.
      if (queue.closing !== undefined) return false
      up[series](label).set(0)
      throw error
    }
    up[series](label).set(1)
    return true
  }

  async function readCounts(): Promise<void> {
    // BullMQ's PostgreSQL backend counts the waiting jobs of a paused queue under the state `paused`, which is 0 on Redis.
    const { paused: waitingWhilePaused = 0, ...counts } = await queue.getJobCounts(...STATES, 'paused')
    const { waiting = 0, prioritized = 0 } = counts
    for (const state of STATES) jobs[series]({ ...label, state }).set(counts[state] ?? 0)
    jobs[series]({ ...label, state: 'waiting' }).set(waiting + waitingWhilePaused)
    length[series](label).set(waiting + waitingWhilePaused + prioritized)
  }

  async function readPaused(): Promise<void> {
    paused[series](label).set((await queue.isPaused()) ? 1 : 0)
  }

  async function readWorkers(): Promise<void> {
    workers[series](label).set(await queue.getWorkersCount())
  }

  async function readOldest(): Promise<void> {
    const dueMs = await readOldestDueMs()
    oldestWaiting[series](label).set(dueMs === undefined ? 0 : Math.max(0, Date.now() - dueMs) / 1000)
  }

  /** Both drivers wait for a connection rather than fail: a broker that is down, or goes down between two questions, shows here. */
  function onDeadline(): void {
    // BullMQ never answers what is asked of a PostgreSQL backend that is closing.
    if (queue.closing !== undefined) stop()
    else up[series](label).set(0)
  }

  /** A queue that the application has closed has no state to show, and none that is wrong. */
  function stop(): void {
    onClosed()
    for (const gauge of [length, oldestWaiting, workers, paused, up]) gauge.remove(label)
    for (const state of STATES) jobs.remove({ ...label, state })
  }
}
