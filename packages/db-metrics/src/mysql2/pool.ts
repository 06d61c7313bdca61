/**
 * What db-metrics uses of a pool of mysql2.
 *
 * @module
 */
import type { EventEmitter } from 'node:events'

/** The part of a pool of mysql2 that a caller sees, with callbacks (`mysql2`) or promises (`mysql2/promise`). */
export interface Mysql2Pool {
  getConnection(...args: never[]): unknown
  execute(...args: never[]): unknown
  query(...args: never[]): unknown
  releaseConnection(...args: never[]): unknown
}

/** What both forms have inside, in all versions of mysql2 3. */
export interface CorePool extends EventEmitter {
  readonly config: { readonly connectionLimit: number }
  readonly _allConnections: { readonly length: number }
  readonly _freeConnections: { readonly length: number }
  readonly _connectionQueue: { readonly length: number }
  readonly _closed: boolean
}

/**
 * Returns true for a pool of mysql2. Its predecessor mysql has no `execute`; a single connection has no
 * `releaseConnection`, a cluster no `query`.
 */
export function isMysql2Pool(value: unknown): value is Mysql2Pool {
  const { getConnection, execute, query, releaseConnection } = (value ?? {}) as Partial<Mysql2Pool>
  const methods = [getConnection, execute, query, releaseConnection]
  if (!methods.every((method) => typeof method === 'function')) return false
  const { config, _allConnections, _freeConnections, _connectionQueue } = corePool(value as Mysql2Pool)
  const lengths = [_allConnections?.length, _freeConnections?.length, _connectionQueue?.length, config?.connectionLimit]
  return lengths.every((length) => typeof length === 'number')
}

/** Returns the pool with callbacks that is inside of one with promises. */
export function corePool(pool: Mysql2Pool): CorePool {
  return (pool as unknown as { pool?: CorePool }).pool ?? (pool as unknown as CorePool)
}

/** Returns true when a caller would have to wait for a connection. A limit of 0 is none. */
export function isSaturated({ config, _allConnections, _freeConnections, _connectionQueue }: CorePool): boolean {
  if (_connectionQueue.length > 0) return true
  const { connectionLimit } = config
  return _freeConnections.length === 0 && connectionLimit > 0 && _allConnections.length >= connectionLimit
}
