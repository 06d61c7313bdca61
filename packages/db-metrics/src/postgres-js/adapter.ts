/**
 * The adapter for postgres.js.
 *
 * @module
 */
import type { PoolAdapter } from '../adapter.ts'
import { hasEnded, measurePool } from './measure-pool.ts'
import { isPostgresJsPool, type PostgresJsPool } from './pool.ts'

export const postgresJsAdapter: PoolAdapter<PostgresJsPool> = {
  kind: 'sql of postgres.js',
  accepts: isPostgresJsPool,
  hasEnded,
  measure: measurePool,
}
