/**
 * `fastify.dbMetrics`: counts and times the queries of PostgreSQL pools, their errors and the wait for a connection,
 * and shows if the database answers. Finds the pools of `@fastify/postgres` by itself.
 *
 * @module
 */
import { ensureMetrics, InvalidOptionError } from '@data20/metrics-core/plugin'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { PoolNameError } from './errors.ts'
import { createInstruments } from './instruments.ts'
import { measurePool } from './measure-pool.ts'
import { type DbMetricsOptions, resolveOptions } from './options.ts'
import { type ObservablePool, readConnections } from './pool.ts'
import { findPools, measurePostgres, type PostgresDatabase } from './postgres.ts'
import { createUp } from './up.ts'

/** What applications find at `fastify.dbMetrics`. */
export interface DbMetrics {
  /**
   * Measures a pool until the application closes. Its series exist at zero from now on. `poolName` is the value of the
   * label `pool`, so use a name that never changes. Throws when the name belongs to another pool, or the pool has
   * another name.
   */
  observe(poolName: string, pool: ObservablePool): void
}

declare module 'fastify' {
  interface FastifyInstance {
    dbMetrics: DbMetrics
  }
}

async function dbMetrics(fastify: FastifyInstance, options: DbMetricsOptions): Promise<void> {
  const resolved = resolveOptions(options)
  const { pools, upCheckMs, upTimeoutMs } = resolved
  const metrics = await ensureMetrics(fastify)
  const createSeries = createInstruments(metrics, resolved)
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
        // Before the check of `up`, which takes a connection of the pool for a moment.
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

const plugin: FastifyPluginAsync<DbMetricsOptions> = fp(dbMetrics, { name: '@data20/db-metrics', fastify: '5.x' })

export type { DbMetricsOptions, ObservablePool }
export { PoolNameError, plugin as default, plugin as dbMetrics }
