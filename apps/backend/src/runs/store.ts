/**
 * The runs in PostgreSQL: the history, and the source of truth for every queued run.
 * See docs/decisions/0011-the-row-is-the-source-of-truth.md.
 *
 * @module
 */
import type { Pool, PoolClient } from 'pg'
import { SCHEMA } from '../database.ts'
import { DatabaseUnavailableError } from '../errors.ts'
import type {
  ClaimedRun,
  HistoryFilter,
  HistoryPosition,
  InlineRun,
  OpenRun,
  RunSummary,
  StoredFailure,
} from './run.ts'

/**
 * The runs in the database. Every method rejects with a {@link DatabaseUnavailableError} when the database does not
 * answer in time.
 */
export interface RunStore {
  /** Resolves when the database answers. */
  check(): Promise<void>
  /** Stores a run for the queue. When it resolves, the run is committed. */
  create(run: { id: string; tool: string; params: unknown; maxAttempts: number }): Promise<void>
  /** Stores an inline run after its end. */
  record(run: InlineRun): Promise<void>
  /** Begins an attempt. Resolves to `undefined` for a run that has ended or does not exist. */
  claim(id: string): Promise<ClaimedRun | undefined>
  /** Ends a run, unless it has ended. `result` is JSON. */
  complete(id: string, result: string, durationMs: number): Promise<void>
  /** Ends a run as `status`; `queued` only counts the failed attempt. A run that has ended stays as it is. */
  fail(id: string, status: 'failed' | 'timeout' | 'queued', failure: StoredFailure, durationMs: number): Promise<void>
  /** Takes an attempt back, as if it had not begun. */
  release(id: string): Promise<void>
  /** Resolves to a run, with its result as JSON. */
  find(id: string): Promise<{ run: RunSummary; result: string | undefined } | undefined>
  list(filter: HistoryFilter): Promise<Array<{ run: RunSummary; position: HistoryPosition }>>
  /** Notes that these runs are in the queue now. */
  markEnqueued(ids: string[], client?: PoolClient): Promise<void>
  /** Resolves to open runs not seen in the queue for `olderThanMs`. Those never seen come first. */
  findOpen(olderThanMs: number, limit: number, client?: PoolClient): Promise<OpenRun[]>
  /** Deletes up to `limit` runs that ended more than `days` ago. */
  prune(days: number, limit: number, client?: PoolClient): Promise<void>
  /** Calls `work` in a transaction, with its client, unless another process is in one already. */
  exclusively(work: (client: PoolClient) => Promise<void>): Promise<void>
}

const RUNS = `${SCHEMA}.runs`
const OPEN = `status IN ('queued', 'running')`
// "DATA" and "20" in ASCII: an advisory lock that no other application takes.
const LOCK = '0x44415441, 0x3230'.split(', ').map(Number)
const SUMMARY = `
  id AS run_id, tool, status, attempts, created_at, started_at, finished_at, duration_ms, error,
  (extract(epoch FROM created_at) * 1000000)::bigint::text AS created_micros`

type SummaryRow = Record<keyof RunSummary, unknown> & { created_micros: string; result?: string }

/** Makes the store on a pool of connections. */
export function createRunStore(pool: Pool): RunStore {
  return {
    check,
    create,
    record,
    claim,
    complete,
    fail,
    release,
    find,
    list,
    markEnqueued,
    findOpen,
    prune,
    exclusively,
  }

  async function check(): Promise<void> {
    await query('SELECT 1')
  }

  async function create({ id, tool, params, maxAttempts }: Parameters<RunStore['create']>[0]): Promise<void> {
    await query(
      `INSERT INTO ${RUNS} (id, tool, params, mode, status, max_attempts) VALUES ($1, $2, $3, 'queued', 'queued', $4)`,
      [id, tool, JSON.stringify(params), maxAttempts],
    )
  }

  async function record(run: InlineRun): Promise<void> {
    const { id, tool, params, status, startedMs, durationMs, result, error } = run
    await query(
      `INSERT INTO ${RUNS} (id, tool, params, mode, status, attempts, failures, created_at, started_at, finished_at, duration_ms, result, error)
       VALUES ($1, $2, $3, 'inline', $4, 1, $5, $6, $6, $7, $8, $9, $10)`,
      [
        ...[id, tool, JSON.stringify(params), status, status === 'completed' ? 0 : 1],
        ...[new Date(startedMs), new Date(startedMs + durationMs), durationMs],
        ...[result ?? null, error === undefined ? null : jsonOf(error)],
      ],
    )
  }

  async function claim(id: string): Promise<ClaimedRun | undefined> {
    const { rows } = await query<ClaimedRun>(
      `UPDATE ${RUNS} SET status = 'running', attempts = attempts + 1, started_at = now(), enqueued_at = now()
       WHERE id = $1 AND ${OPEN}
       RETURNING tool, params, attempts, failures, max_attempts AS "maxAttempts"`,
      [id],
    )
    return rows[0]
  }

  async function complete(id: string, result: string, durationMs: number): Promise<void> {
    await query(
      `UPDATE ${RUNS} SET status = 'completed', result = $2, error = NULL, finished_at = now(), duration_ms = $3
       WHERE id = $1 AND ${OPEN}`,
      [id, result, durationMs],
    )
  }

  async function fail(
    id: string,
    status: 'failed' | 'timeout' | 'queued',
    failure: StoredFailure,
    durationMs: number,
  ): Promise<void> {
    await query(
      `UPDATE ${RUNS} SET status = $2, failures = failures + 1, error = $3, duration_ms = $4,
         finished_at = CASE WHEN $2 = 'queued' THEN NULL ELSE now() END
       WHERE id = $1 AND ${OPEN}`,
      [id, status, jsonOf(failure), durationMs],
    )
  }

  async function release(id: string): Promise<void> {
    await query(
      `UPDATE ${RUNS} SET status = 'queued', attempts = attempts - 1, started_at = NULL
       WHERE id = $1 AND status = 'running'`,
      [id],
    )
  }

  async function find(id: string): Promise<{ run: RunSummary; result: string | undefined } | undefined> {
    const { rows } = await query<SummaryRow>(`SELECT ${SUMMARY}, result::text FROM ${RUNS} WHERE id = $1`, [id])
    return rows[0] && { run: summaryOf(rows[0]), result: rows[0].result ?? undefined }
  }

  async function list({ status, tool, limit, after }: HistoryFilter): ReturnType<RunStore['list']> {
    const values: unknown[] = []
    const conditions: string[] = []
    const value = (given: unknown) => `$${values.push(given)}`
    if (status !== undefined) conditions.push(`status = ${value(status)}`)
    if (tool !== undefined) conditions.push(`tool = ${value(tool)}`)
    if (after !== undefined) {
      const created = `timestamptz 'epoch' + ${value(after.createdMicros)}::bigint * interval '1 microsecond'`
      conditions.push(`(created_at, id) < (${created}, ${value(after.id)}::uuid)`)
    }
    const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : ''
    const { rows } = await query<SummaryRow>(
      `SELECT ${SUMMARY} FROM ${RUNS} ${where} ORDER BY created_at DESC, id DESC LIMIT ${value(limit)}`,
      values,
    )
    return rows.map((row) => ({
      run: summaryOf(row),
      position: { createdMicros: row.created_micros, id: row.run_id as string },
    }))
  }

  async function markEnqueued(ids: string[], client?: PoolClient): Promise<void> {
    await query(`UPDATE ${RUNS} SET enqueued_at = now() WHERE id = ANY ($1) AND ${OPEN}`, [ids], client)
  }

  async function findOpen(olderThanMs: number, limit: number, client?: PoolClient): Promise<OpenRun[]> {
    const { rows } = await query<OpenRun>(
      `SELECT id, tool, greatest(max_attempts - failures, 1) AS "attemptsLeft", enqueued_at IS NOT NULL AS "isEnqueued"
       FROM ${RUNS}
       WHERE ${OPEN} AND (enqueued_at IS NULL OR enqueued_at < now() - $1 * interval '1 millisecond')
       ORDER BY enqueued_at NULLS FIRST LIMIT $2`,
      [olderThanMs, limit],
      client,
    )
    return rows
  }

  async function prune(days: number, limit: number, client?: PoolClient): Promise<void> {
    await query(
      `DELETE FROM ${RUNS} WHERE id IN (
         SELECT id FROM ${RUNS} WHERE finished_at < now() - $1 * interval '1 day' ORDER BY finished_at LIMIT $2)`,
      [days, limit],
      client,
    )
  }

  async function exclusively(work: (client: PoolClient) => Promise<void>): Promise<void> {
    const client = await pool.connect().catch(rethrow)
    let failure: Error | undefined
    // The pool does not listen while a client is in use. A query in flight rejects in any case.
    const onError = (error: Error) => {
      failure = error
    }
    client.on('error', onError)
    try {
      await query('BEGIN', [], client)
      const { rows } = await query<{ isOurs: boolean }>(
        'SELECT pg_try_advisory_xact_lock($1, $2) AS "isOurs"',
        LOCK,
        client,
      )
      if (rows[0]?.isOurs) await work(client)
      await query('COMMIT', [], client)
    } catch (error) {
      failure = error as Error
      throw error
    } finally {
      client.off('error', onError)
      // A connection in an unknown state is closed, which ends its transaction.
      client.release(failure)
    }
  }

  async function query<Row extends object>(text: string, values: unknown[] = [], client?: PoolClient) {
    return await (client ?? pool).query<Row>(text, values).catch(rethrow)
  }
}

/** Throws a {@link DatabaseUnavailableError} for an error that is not the query's own fault. */
function rethrow(cause: Error & { code?: string }): never {
  // Classes of SQLSTATE: 22 data, 23 integrity, 42 syntax and access.
  if (/^(22|23|42)\w{3}$/.test(cause.code ?? '')) throw cause
  throw new DatabaseUnavailableError(cause)
}

/** The message of an `Error` is not enumerable, and further members are not stored. */
function jsonOf({ code, message, details }: StoredFailure): string {
  return JSON.stringify({ code, message, details })
}

function summaryOf(row: SummaryRow): RunSummary {
  const { run_id, tool, status, attempts, created_at, started_at, finished_at, duration_ms, error } = row
  const summary = {
    run_id,
    tool,
    status,
    attempts,
    ...{ created_at: isoOf(created_at), started_at: isoOf(started_at), finished_at: isoOf(finished_at) },
    ...{ duration_ms: duration_ms ?? undefined, error: error ?? undefined },
  }
  return summary as RunSummary
}

function isoOf(time: unknown): string | undefined {
  return time instanceof Date ? time.toISOString() : undefined
}
