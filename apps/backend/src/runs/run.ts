/**
 * A run as data: its states, and the forms in which it is stored, claimed and listed.
 *
 * @module
 */
import type { Detail } from '../errors.ts'

/** The states of a run. */
export const RUN_STATUSES = ['queued', 'running', 'completed', 'failed', 'timeout', 'cancelled'] as const

export type RunStatus = (typeof RUN_STATUSES)[number]

/** Why a run or its last attempt did not complete, as it is stored: these members of a `RunFailure`. */
export interface StoredFailure {
  code: string
  message: string
  details?: Detail[] | undefined
}

/** A run as callers see it, without its result. Times are ISO 8601. */
export interface RunSummary {
  run_id: string
  tool: string
  status: RunStatus
  attempts: number
  created_at: string
  started_at?: string
  finished_at?: string
  duration_ms?: number
  error?: StoredFailure
}

/** An inline run that has ended. `result` is JSON. */
export interface InlineRun {
  id: string
  tool: string
  params: unknown
  status: RunStatus
  startedMs: number
  durationMs: number
  result?: string | undefined
  error?: StoredFailure | undefined
}

/** What an attempt needs of its run. */
export interface ClaimedRun {
  tool: string
  params: Record<string, unknown>
  /** Attempts begun so far, this one included. */
  attempts: number
  failures: number
  maxAttempts: number
}

/** A run that has to be in the queue. */
export interface OpenRun {
  id: string
  tool: string
  attemptsLeft: number
  /** It is known to have been in the queue. */
  isEnqueued: boolean
}

/** A position in the history, which lists the newest run first. */
export interface HistoryPosition {
  createdMicros: string
  id: string
}

export interface HistoryFilter {
  status?: RunStatus | undefined
  tool?: string | undefined
  limit: number
  after?: HistoryPosition | undefined
}
