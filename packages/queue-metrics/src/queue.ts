/**
 * Observes a queue: asks the broker for its state on each scrape.
 *
 * @module
 */
import type { Metrics } from '@data20/metrics-core'
import type { ObservableQueue } from './bullmq.ts'
import type { QueueSeries } from './instruments.ts'
import { STATES } from './metrics.ts'
import { createOldestReader, isPostgres } from './oldest.ts'

/**
 * Reads the state of a queue on each scrape until the queue is closed, or until the function returned is called.
 * Calls `onClosed` in the first case.
 */
export function observeQueue(
  queue: ObservableQueue,
  label: string,
  { length, jobs, oldestWaiting, workers, paused, up }: QueueSeries,
  metrics: Metrics,
  onClosed: () => void,
): () => void {
  const readOldestDueMs = createOldestReader(queue)
  let isStopped = false
  return metrics.collector(`queue:${label}`, collect)

  async function collect(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', onDeadline)
    try {
      if (!(await hasCounted())) return stop()
      // A broker that refuses one of these (to list its clients, say) fails the collector. It is not down.
      await Promise.all([readPaused(), readWorkers(), readOldest()])
    } finally {
      // The signal aborts after each run, in time or not.
      signal.removeEventListener('abort', onDeadline)
    }
  }

  /** Counts the jobs, which decides `queue_up`. Returns false for a queue that is closed. */
  async function hasCounted(): Promise<boolean> {
    if (isClosed()) return false
    try {
      await readCounts()
    } catch (error) {
      // The queue was closed meanwhile.
      if (isClosed()) return false
      up.set(0)
      throw error
    }
    if (isClosed()) return false
    up.set(1)
    return true
  }

  async function readCounts(): Promise<void> {
    const counts = await queue.getJobCounts(...STATES, 'paused')
    if (isClosed()) return
    // BullMQ's PostgreSQL backend counts the waiting jobs of a paused queue as `paused`, which is 0 on Redis.
    if (counts.waiting !== undefined) counts.waiting += counts.paused ?? 0
    for (const state of STATES) {
      const count = counts[state]
      if (count !== undefined) jobs[state].set(count)
    }
    if (counts.waiting !== undefined) length.set(counts.waiting + (counts.prioritized ?? 0))
  }

  async function readPaused(): Promise<void> {
    const isPaused = await queue.isPaused()
    if (!isClosed()) paused.set(isPaused ? 1 : 0)
  }

  async function readWorkers(): Promise<void> {
    const count = countWorkers(queue, await queue.getWorkers())
    if (count !== undefined && !isClosed()) workers.set(count)
  }

  async function readOldest(): Promise<void> {
    if (readOldestDueMs === undefined) return
    const dueMs = await readOldestDueMs()
    if (!isClosed()) oldestWaiting.set(dueMs === undefined ? 0 : Math.max(0, Date.now() - dueMs) / 1000)
  }

  /** A value that arrives later must not come back into a series that is gone, or that another queue has now. */
  function isClosed(): boolean {
    return isStopped || queue.closing !== undefined
  }

  /** Both drivers wait for a connection instead of failing, so a broker that is down shows here. */
  function onDeadline(): void {
    // BullMQ never answers a question to a PostgreSQL backend that is closing.
    if (isClosed()) stop()
    else up.set(0)
  }

  /** A queue that the application has closed has no state to show. */
  function stop(): void {
    // Both the deadline and the end of a reading may find the queue closed.
    if (isStopped) return
    isStopped = true
    onClosed()
  }
}

/** PostgreSQL cuts names of connections off there, and BullMQ finds workers by them. */
const MAX_POSTGRES_NAME_BYTES = 63

/** Returns the number of connected workers; `undefined` where BullMQ cannot know it. */
function countWorkers(queue: ObservableQueue, found: Array<Record<string, string>>): number | undefined {
  // BullMQ answers with one worker that has no connection where the broker does not know `CLIENT LIST`.
  if (found.some(({ rawname }) => rawname === undefined)) return undefined
  if (isPostgres(queue.getBackend()) && Buffer.byteLength(`${queue.name}:w:`) > MAX_POSTGRES_NAME_BYTES)
    return undefined
  return found.length
}
