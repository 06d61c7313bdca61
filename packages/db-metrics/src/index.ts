/**
 * `fastify.dbMetrics`: counts and times the queries of PostgreSQL pools, their errors and the wait for a connection, and
 * says whether the database answers. The pools of `@fastify/postgres` are found by themselves.
 *
 * @module
 */
import { ensureMetrics, InvalidOptionError } from '@data20/metrics-core/plugin'
import createError, { type FastifyErrorConstructor } from '@fastify/error'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { DbMetricsOptions } from './options.ts'
import { measurePool, type ObservablePool, readConnections } from './pool.ts'
import { findPools, measurePostgres, type PostgresDatabase } from './postgres.ts'
import { createInstruments } from './series.ts'
import { createUp } from './up.ts'

/** What applications find at `fastify.dbMetrics`. */
export interface DbMetrics {
  /**
   * Measures a pool until the application closes; its series exist at zero from now on. `poolName` becomes the label
   * `pool`, so it is a name that does not change. Throws where the name belongs to another pool, or the pool has another name.
   */
  observe(poolName: string, pool: ObservablePool): void
}

declare module 'fastify' {
  interface FastifyInstance {
    dbMetrics: DbMetrics
  }
}

/** Two pools under one name, or two names for one pool. Argument: the name. */
export const PoolNameError: FastifyErrorConstructor<{ code: string }, [string]> = createError(
  'DB_METRICS_ERR_POOL_NAME',
  'Expected each pool to be observed under one name of its own, got %s a second time',
  500,
)

async function dbMetrics(fastify: FastifyInstance, options: DbMetricsOptions): Promise<void> {
  const { pools = {}, buckets, slowQuerySeconds = 1, upCheckMs = 5000, upTimeoutMs = 500 } = options
  checkOptions(slowQuerySeconds, upCheckMs, upTimeoutMs)

  const metrics = await ensureMetrics(fastify)
  const createSeries = createInstruments(metrics, buckets, slowQuerySeconds)
  const poolByName = new Map<string, ObservablePool>()
  const databases = new Set<PostgresDatabase>()
  const release: Array<() => void> = []

  fastify.decorate('dbMetrics', { observe })
  for (const [name, pool] of Object.entries(pools)) observe(name, pool)
  observePostgres()

  // Pools that were registered after this plugin.
  fastify.addHook('onReady', async () => observePostgres())
  fastify.addHook('onClose', async () => {
    for (const stop of release.reverse()) stop()
  })

  function observe(poolName: string, pool: ObservablePool): void {
    if (typeof pool?.connect !== 'function') throw new InvalidOptionError(`pools.${poolName}`, 'a pool of pg', pool)
    if (poolByName.get(poolName) === pool) return
    if (poolByName.has(poolName) || isObserved(pool)) throw new PoolNameError(poolName)
    poolByName.set(poolName, pool)

    const series = createSeries(poolName)
    const up = createUp(pool, upCheckMs, upTimeoutMs)
    release.push(measurePool(pool, series, up))
    release.push(
      metrics.collector(`db_${poolName}`, async () => {
        // Before the check, which takes a connection of the pool for a moment.
        readConnections(pool, series)
        series.up.set((await up.read()) ? 1 : 0)
      }),
    )
  }

  function observePostgres(): void {
    for (const [name, database] of findPools(fastify)) {
      if (databases.has(database)) continue
      databases.add(database)
      if (!isObserved(database.pool)) observe(name, database.pool)
      release.push(measurePostgres(database))
    }
  }

  function isObserved(pool: ObservablePool): boolean {
    return [...poolByName.values()].includes(pool)
  }
}

function checkOptions(slowQuerySeconds: number, upCheckMs: number, upTimeoutMs: number): void {
  if (!(slowQuerySeconds >= 0)) throw new InvalidOptionError('slowQuerySeconds', 'a number ≥ 0', slowQuerySeconds)
  if (!(upCheckMs >= 0)) throw new InvalidOptionError('upCheckMs', 'a number ≥ 0', upCheckMs)
  if (!(upTimeoutMs > 0)) throw new InvalidOptionError('upTimeoutMs', 'a number > 0', upTimeoutMs)
}

const plugin: FastifyPluginAsync<DbMetricsOptions> = fp(dbMetrics, { name: '@data20/db-metrics', fastify: '5.x' })

export type { DbMetricsOptions, ObservablePool }
export { plugin as default, plugin as dbMetrics }
