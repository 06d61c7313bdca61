/**
 * The adapter for pools of mysql2, with callbacks or promises.
 *
 * @module
 */
import type { PoolAdapter } from '../adapter.ts'
import { measurePool } from './measure-pool.ts'
import { corePool, isMysql2Pool, type Mysql2Pool } from './pool.ts'

export const mysql2Adapter: PoolAdapter<Mysql2Pool> = {
  kind: 'a pool of mysql2',
  accepts: isMysql2Pool,
  hasEnded: (pool) => corePool(pool)._closed,
  measure: measurePool,
}
