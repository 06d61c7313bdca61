/**
 * Observes a queue: asks the broker for its state on each scrape.
 *
 * @module
 */
import type { Metrics } from '@data20/metrics-core'
import type { ObservableQueue } from './bullmq.ts'
import type { Instruments } from './instruments.ts'
import { STATES } from './metrics.ts'
import { createOldestReader } from './oldest.ts'

/**
 * Reads the state of a queue on each scrape until the queue is closed, or until the function returned is called.
 * Calls `onClosed` in the first case.
 */
export function observeQueue(
  queue: ObservableQueue,
  instruments: Instruments,
  metrics: Metrics,
  onClosed: () => void,
): () => void {
  const { length, jobs, oldestWaiting, workers, paused, up } = instruments.acquireQueue(queue.name)
  const readOldestDueMs = createOldestReader(queue)
  let isStopped = false
  return metrics.collector(`queue:${queue.name}`, collect)

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
    if (queue.closing !== undefined) return false
    try {
      await readCounts()
    } catch (error) {
      // The queue was closed meanwhile.
      if (queue.closing !== undefined) return false
      up.set(0)
      throw error
    }
    up.set(1)
    return true
  }

  async function readCounts(): Promise<void> {
    // BullMQ's PostgreSQL backend counts the waiting jobs of a paused queue as `paused`, which is 0 on Redis.
    const { paused: waitingWhilePaused = 0, ...counts } = await queue.getJobCounts(...STATES, 'paused')
    const { waiting = 0, prioritized = 0 } = counts
    for (const state of STATES) jobs[state].set(counts[state] ?? 0)
    jobs.waiting.set(waiting + waitingWhilePaused)
    length.set(waiting + waitingWhilePaused + prioritized)
  }

  async function readPaused(): Promise<void> {
    paused.set((await queue.isPaused()) ? 1 : 0)
  }

  async function readWorkers(): Promise<void> {
    workers.set(await queue.getWorkersCount())
  }

  async function readOldest(): Promise<void> {
    const dueMs = await readOldestDueMs()
    oldestWaiting.set(dueMs === undefined ? 0 : Math.max(0, Date.now() - dueMs) / 1000)
  }

  /** Both drivers wait for a connection instead of failing, so a broker that is down shows here. */
  function onDeadline(): void {
    // BullMQ never answers a question to a PostgreSQL backend that is closing.
    if (queue.closing !== undefined) stop()
    else up.set(0)
  }

  /** A queue that the application has closed has no state to show. */
  function stop(): void {
    // Both the deadline and the end of a reading may find the queue closed.
    if (isStopped) return
    isStopped = true
    onClosed()
    instruments.releaseQueue(queue.name)
  }
}
