/**
 * `fastify.dbMetrics`: counts and times the queries of database pools, their errors and the wait for a connection, and
 * shows if the database answers. Knows the pools of pg, mysql2 and postgres.js; finds those of `@fastify/postgres` by
 * itself.
 *
 * @module
 */
import { ensureMetrics, InvalidOptionError } from '@data20/metrics-core/plugin'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { MeasuredPool, PoolAdapter, PoolSeries, UpSignals } from './adapter.ts'
import { PoolNameError } from './errors.ts'
import { createInstruments } from './instruments.ts'
import { mysql2Adapter } from './mysql2/adapter.ts'
import { type DbMetricsOptions, type ObservablePool, type ObservablePools, resolveOptions } from './options.ts'
import { pgAdapter } from './pg/adapter.ts'
import { findPools, measurePostgres, type PostgresDatabase } from './pg/fastify-postgres.ts'
import { postgresJsAdapter } from './postgres-js/adapter.ts'
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
  hasEnded(): boolean
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
  const adapters = [...resolved.adapters, pgAdapter, mysql2Adapter, postgresJsAdapter] as PoolAdapter[]
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
    const adapter = adapters.find((candidate) => candidate.accepts(pool))
    if (adapter === undefined)
      throw new InvalidOptionError(option, adapters.map(({ kind }) => kind).join(', or '), pool)
    const known = observed.get(poolName)
    if (adapter.hasEnded(pool)) throw new InvalidOptionError(option, 'a pool that has not ended', pool)
    if (known?.pool === pool) return
    if ((known !== undefined && !known.hasEnded()) || isObserved(pool)) throw new PoolNameError(poolName)
    known?.disappear()
    observed.set(poolName, observePool(poolName, pool, adapter))
  }

  function observePool(poolName: string, pool: ObservablePool, adapter: PoolAdapter): ObservedPool {
    const series = createSeries(poolName)
    const up = createUp(upCheckMs, upTimeoutMs)
    const measured = adapter.measure(pool, series, up)
    const stopCollecting = metrics.collector(`db_${poolName}`, async () => {
      if (hasEnded()) return disappear()
      // Before the check of `up`, which takes a connection of the pool for a moment.
      measured.readConnections()
      series.up.set((await up.read(measured)) ? 1 : 0)
    })
    return { pool, hasEnded, disappear, close }

    function hasEnded(): boolean {
      return adapter.hasEnded(pool)
    }

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

export type { DbMetricsOptions, MeasuredPool, ObservablePool, ObservablePools, PoolAdapter, PoolSeries, UpSignals }
export { PoolNameError, plugin as default, plugin as dbMetrics }
