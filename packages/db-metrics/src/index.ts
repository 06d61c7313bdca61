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
import { isPool, type ObservablePool, readConnections } from './pool.ts'
import { findPools, measurePostgres, type PostgresDatabase } from './postgres.ts'
import { createUp } from './up.ts'

/** What applications find at `fastify.dbMetrics`. */
export interface DbMetrics {
  /**
   * Measures a pool until it ends or the application closes. Its series exist at zero from now on. `poolName` is the
   * value of the label `pool`, so use a name that never changes. Throws when the name belongs to another pool that has
   * not ended, or the pool has another name.
   */
  observe(poolName: string, pool: ObservablePool): void
}

/** A pool that is observed. */
interface ObservedPool {
  pool: ObservablePool
  /** Removes what tells the pool's state. Connections that it still has are measured until they end. */
  disappear(): void
  close(): void
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
  const observed = new Map<string, ObservedPool>()
  const databases = new Set<PostgresDatabase>()
  const restore: Array<() => void> = []

  fastify.decorate('dbMetrics', { observe })
  for (const [name, pool] of Object.entries(pools)) observe(name, pool)
  observePostgres()

  // Pools that were registered after this plugin.
  fastify.addHook('onReady', async () => observePostgres())
  fastify.addHook('onClose', async () => {
    for (const putBack of restore.reverse()) putBack()
    for (const { close } of observed.values()) close()
  })

  function observe(poolName: string, pool: ObservablePool): void {
    const option = `pools.${poolName}`
    if (!isPool(pool)) throw new InvalidOptionError(option, 'a pool of pg', pool)
    const known = observed.get(poolName)
    if (known?.pool === pool) return
    if (pool.ending) throw new InvalidOptionError(option, 'a pool that has not ended', pool)
    if ((known !== undefined && !known.pool.ending) || isObserved(pool)) throw new PoolNameError(poolName)
    known?.disappear()
    observed.set(poolName, observePool(poolName, pool))
  }

  function observePool(poolName: string, pool: ObservablePool): ObservedPool {
    const series = createSeries(poolName)
    const up = createUp(pool, upCheckMs, upTimeoutMs)
    const measured = measurePool(pool, series, up)
    const stopCollecting = metrics.collector(`db_${poolName}`, async () => {
      if (pool.ending) return disappear()
      // Before the check of `up`, which takes a connection of the pool for a moment.
      readConnections(pool, series)
      series.idleInTransaction.set(measured.countIdleInTransaction())
      series.up.set((await up.read()) ? 1 : 0)
    })
    return { pool, disappear, close }

    /** A pool that was ended is told apart from one whose database is down. Its name is free. */
    function disappear(): void {
      if (observed.get(poolName)?.pool === pool) observed.delete(poolName)
      stopCollecting()
      series.remove()
      measured.stop()
    }

    function close(): void {
      stopCollecting()
      measured.restore()
    }
  }

  function observePostgres(): void {
    for (const [name, database] of findPools(fastify)) {
      if (databases.has(database)) continue
      databases.add(database)
      if (!isObserved(database.pool)) observe(name, database.pool)
      restore.push(measurePostgres(database))
    }
  }

  function isObserved(pool: ObservablePool): boolean {
    return [...observed.values()].some((known) => known.pool === pool)
  }
}

const plugin: FastifyPluginAsync<DbMetricsOptions> = fp(dbMetrics, { name: '@data20/db-metrics', fastify: '5.x' })

export type { DbMetricsOptions, ObservablePool }
export { PoolNameError, plugin as default, plugin as dbMetrics }
