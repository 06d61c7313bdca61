/**
 * Writes inline runs into the history behind the back of their callers.
 *
 * @module
 */
import type { FastifyBaseLogger } from 'fastify'
import type { InlineRun, RunStore } from './store.ts'

/** Options of the recorder. */
export interface RecorderOptions {
  store: RunStore
  log: FastifyBaseLogger
  /** Bytes of a result that is stored; a run with a larger one is stored without it. */
  maxResultBytes: number
}

/**
 * Inline runs never wait for the database. One that cannot be written is missing in the history, which the log says and
 * `db_query_errors_total{operation="INSERT"}` counts.
 */
export interface RunRecorder {
  /** Writes a run that has ended. Never throws. */
  record(run: InlineRun): void
  /** Resolves when what was recorded until now is written or given up, so that a caller finds its run in the history. */
  settle(): Promise<void>
}

/** Runs whose record is not written yet; while a database is down, more are left out. */
const MAX_UNWRITTEN = 100

/** Makes a recorder; before the database is closed it has to settle. */
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
