/**
 * The messages between a cluster's primary and its workers.
 *
 * @module
 */
import type { Snapshot } from './aggregate.ts'

export const ASK = '@data20/metrics-core:ask'
export const TELL = '@data20/metrics-core:tell'

/** The primary asks a worker for its metrics. */
export interface Question {
  type: typeof ASK
  /** Counts the primary's questions, so that a late answer is not taken for one to the next question. */
  number: number
  /** Milliseconds that the worker may spend on its collectors. */
  budgetMs: number
}

/** A worker sends its metrics. */
export interface Answer {
  type: typeof TELL
  /** The number of the question; 0 when there was none. */
  number: number
  snapshot: Snapshot
  /** Whether the worker has closed its application: the process may live on, but it does not answer any more. */
  isLast: boolean
}
