/**
 * The adapter for pools of pg.
 *
 * @module
 */
import type { PoolAdapter } from '../adapter.ts'
import { measurePool } from './measure-pool.ts'
import { isPgPool, type PgPool } from './pool.ts'

export const pgAdapter: PoolAdapter<PgPool> = {
  kind: 'a pool of pg',
  accepts: isPgPool,
  hasEnded: (pool) => pool.ending === true,
  measure: measurePool,
}
