/**
 * The primary's side of `node:cluster`: asks the workers for their metrics, and keeps what they answered.
 *
 * @module
 */
import cluster, { type Worker } from 'node:cluster'
import { NoAnswerError } from '../errors.ts'
import type { Collect } from '../scrape/collectors.ts'
import { aggregate, countedOnly, type Snapshot } from './aggregate.ts'
import { type Answer, ASK, type Question, TELL } from './messages.ts'

/** The primary's side. */
export interface ClusterPrimary {
  /**
   * Asks every worker. Fails when a worker that has answered before does not answer in time; its last answer is kept.
   */
  readonly collect: Collect
  /** Returns the last answer of each worker, and what ended workers had counted, so that no sum ever goes down. */
  snapshots(): Snapshot[]
  close(): void
}

/**
 * The part of the primary's time that a worker may spend on its own collectors; the rest is for the answer's transport.
 */
const WORKER_PART = 0.8

/** Starts to listen to the workers. */
export function createPrimary(): ClusterPrimary {
  /** The last answer of each worker, by its id. */
  const answers = new Map<number, Answer>()
  let ended: Snapshot = []
  let number = 0
  let pending: { workers: Set<number>; done(): void } | undefined

  cluster.on('message', listen).on('disconnect', retire).on('exit', retire)
  // Workers that started earlier answer this one.
  askAll(0)

  return {
    async collect(signal, budgetMs) {
      // A worker that never answered is still starting, or has no metrics; one that has closed does not answer any
      // more. Neither is waited for.
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
    // With a callback, a worker that ends meanwhile causes no error event.
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
