/**
 * The worker's side of `node:cluster`: answers the primary with this process's metrics.
 *
 * @module
 */
import type { Snapshot } from './aggregate.ts'
import { type Answer, ASK, type Question, TELL } from './messages.ts'

/** The worker's side. */
export interface ClusterWorker {
  /** Sends a last snapshot, and resolves when it is on its way: a process that exits at once would lose it. */
  close(last: Snapshot): Promise<void>
}

/** Answers each question of the primary with what `read` resolves to within `budgetMs`. */
export function createWorker(read: (budgetMs: number) => Promise<Snapshot>): ClusterWorker {
  let isClosed = false
  process.on('message', answer)
  tell({ number: 0, snapshot: [], isLast: false })

  return {
    async close(last) {
      isClosed = true
      process.off('message', answer)
      await tell({ number: 0, snapshot: last, isLast: true })
    },
  }

  async function answer(message: Partial<Question> | undefined): Promise<void> {
    if (message?.type !== ASK) return
    // Without an answer the primary shows that the collection of the cluster failed.
    const snapshot = await read(message.budgetMs!).catch(() => undefined)
    if (snapshot !== undefined && !isClosed) tell({ number: message.number!, snapshot, isLast: false })
  }

  /**
   * Resolves when the system has taken the message, or when the primary is gone. With a callback that is no error
   * event.
   */
  function tell(answer: Omit<Answer, 'type'>): Promise<void> {
    return new Promise((resolve) => {
      if (process.connected) process.send?.({ type: TELL, ...answer }, undefined, undefined, () => resolve())
      else resolve()
    })
  }
}
