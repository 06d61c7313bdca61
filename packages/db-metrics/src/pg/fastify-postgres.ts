/**
 * Finds and measures the pools of `@fastify/postgres`.
 *
 * @module
 */
import { type Method, patch } from '@data20/metrics-core/plugin'
import type { FastifyInstance } from 'fastify'
import type { PgPool } from './pool.ts'

/** What `@fastify/postgres` decorates: `fastify.pg`, and `fastify.pg[name]` for a named pool. */
export interface PostgresDatabase {
  pool: PgPool
  connect: Method
  query: Method
}

/** Returns the databases of an application with their names. The one without a name is `default`. */
export function findPools(fastify: FastifyInstance): Array<[string, PostgresDatabase]> {
  if (!fastify.hasDecorator('pg')) return []
  const { pg } = fastify as unknown as { pg: Record<string, unknown> }
  const databases: Array<[string, unknown]> = [['default', pg], ...Object.entries(pg)]
  return databases.filter((entry): entry is [string, PostgresDatabase] => isDatabase(entry[1]))
}

/**
 * Makes `connect` and `query` of the decorator call the measured methods of the pool; the function returned restores
 * them. `@fastify/postgres` binds both when it is registered, so they would bypass the measurement. `transact` does
 * not.
 */
export function measurePostgres(database: PostgresDatabase): () => void {
  const pool = database.pool as unknown as Record<'connect' | 'query', Method>
  const restore = (['connect', 'query'] as const).map((name) =>
    patch(
      database,
      name,
      () =>
        (...args) =>
          pool[name](...args),
    ),
  )
  return () => {
    for (const putBack of restore) putBack()
  }
}

function isDatabase(value: unknown): value is PostgresDatabase {
  const { pool, connect } = (value ?? {}) as Partial<PostgresDatabase>
  return typeof pool === 'object' && typeof connect === 'function'
}
