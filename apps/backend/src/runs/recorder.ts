/**
 * Writes inline runs into the history. Their callers do not wait for it.
 *
 * @module
 */
import type { FastifyBaseLogger } from 'fastify'
import type { InlineRun } from './run.ts'
import type { RunStore } from './store.ts'

/** Options of the recorder. */
export interface RecorderOptions {
  store: RunStore
  log: FastifyBaseLogger
  /** Maximum size of a stored result. A run with a larger one is stored without it. */
  maxResultBytes: number
}

/**
 * Inline runs never wait for the database. A run that cannot be written is missing from the history; the log says so,
 * and `db_query_errors_total{operation="INSERT"}` counts it.
 */
export interface RunRecorder {
  /** Writes a run that has ended. Never throws. */
  record(run: InlineRun): void
  /** Resolves when every run recorded so far is written or given up, so that a caller finds its run in the history. */
  settle(): Promise<void>
}

/** Runs that may wait to be written. While the database is down, further ones are dropped. */
const MAX_UNWRITTEN = 100

/** Makes a recorder. It has to settle before the database is closed. */
export function createRunRecorder({ store, log, maxResultBytes }: RecorderOptions): RunRecorder {
  const unwritten = new Set<Promise<void>>()

  return { record, settle }

  function record(run: InlineRun): void {
    if (unwritten.size >= MAX_UNWRITTEN) {
      log.warn({ run_id: run.id }, 'an inline run is not in the history: too many wait for the database')
      return
    }
    const writing = write(run).finally(() => unwritten.delete(writing))
    unwritten.add(writing)
  }

  async function write({ result, ...run }: InlineRun): Promise<void> {
    const isStored = result !== undefined && Buffer.byteLength(result) <= maxResultBytes
    try {
      await store.record({ ...run, result: isStored ? result : undefined })
    } catch (error) {
      log.warn({ err: error, run_id: run.id }, 'an inline run is not in the history')
    }
  }

  async function settle(): Promise<void> {
    await Promise.all(unwritten)
  }
}
