/**
 * `node:cluster`: workers tell the primary their metrics when it asks, so that it can expose all processes as one.
 *
 * @module
 */
import cluster, { type Worker } from 'node:cluster'
import { NoAnswerError } from '../errors.ts'
import type { Collect } from '../scrape/collectors.ts'
import { aggregate, countedOnly, type Snapshot } from './aggregate.ts'

/** The primary's end. */
export interface ClusterPrimary {
  /** Asks every worker, and fails when one that has answered before does not in time; its last answer is kept. */
  readonly collect: Collect
  /** The last answer of each worker, and what those that have ended had counted: no sum ever goes down. */
  snapshots(): Snapshot[]
  close(): void
}

/** A worker's end. */
export interface ClusterWorker {
  /** Tells the primary a last time, and resolves when that is on its way: a process that exits at once would take it along. */
  close(last: Snapshot): Promise<void>
}

interface Question {
  type: typeof ASK
  number: number
  budgetMs: number
}

interface Answer {
  type: typeof TELL
  number: number
  snapshot: Snapshot
  /** Whether the worker has closed: it may go on for long, and says no more. */
  isLast: boolean
}

const ASK = '@data20/metrics-core:ask'
const TELL = '@data20/metrics-core:tell'
/** The part of the primary's time that a worker may spend on its own collectors; the rest is for the way back. */
const WORKER_PART = 0.8

export function createPrimary(): ClusterPrimary {
  /** The last answer of each worker. */
  const answers = new Map<number, Answer>()
  let ended: Snapshot = []
  let number = 0
  let pending: { workers: Set<number>; done(): void } | undefined

  cluster.on('message', listen).on('disconnect', retire).on('exit', retire)
  // Workers that were here before make themselves known.
  askAll(0)

  return {
    async collect(signal, budgetMs) {
      // A worker that never told anything is still starting, or has no metrics, and one that has closed says no more:
      // nobody waits for them.
      const isAwaited = (id: number) => answers.get(id)?.isLast === false
      const workers = new Set(askAll(budgetMs * WORKER_PART).filter(isAwaited))
      await new Promise<void>((resolve, reject) => {
        pending = { workers, done: resolve }
        signal.addEventListener('abort', () => reject(new NoAnswerError([...workers].join(', '))))
        if (workers.size === 0) resolve()
      })
    },
    snapshots: () => [...Array.from(answers.values(), ({ snapshot }) => snapshot), ended],
    close() {
      cluster.off('message', listen).off('disconnect', retire).off('exit', retire)
      pending?.done()
    },
  }

  function askAll(budgetMs: number): number[] {
    number += 1
    const question: Question = { type: ASK, number, budgetMs }
    const connected = Object.values(cluster.workers ?? {}).filter((worker) => worker?.isConnected())
    // With a callback a worker that ends meanwhile is no error event.
    for (const worker of connected) worker!.send(question, () => {})
    return connected.map((worker) => worker!.id)
  }

  function listen({ id }: Worker, message: Partial<Answer> | undefined): void {
    if (message?.type !== TELL) return
    answers.set(id, message as Answer)
    if (message.isLast || message.number === number) settle(id)
  }

  function retire({ id }: Worker): void {
    ended = aggregate([ended, countedOnly(answers.get(id)?.snapshot ?? [])])
    answers.delete(id)
    settle(id)
  }

  function settle(id: number): void {
    if (pending?.workers.delete(id) && pending.workers.size === 0) pending.done()
  }
}

/** Answers the primary with what `read` resolves to in so many milliseconds. */
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
    const snapshot = await read(message.budgetMs!)
    if (!isClosed) tell({ number: message.number!, snapshot, isLast: false })
  }

  /** Resolves when the system has taken the message, or the primary has gone: with a callback that is no error event. */
  function tell(answer: Omit<Answer, 'type'>): Promise<void> {
    return new Promise((resolve) => {
      if (process.connected) process.send?.({ type: TELL, ...answer }, undefined, undefined, () => resolve())
      else resolve()
    })
  }
}
