/**
 * The database: `app.pg`, a pool of connections, with its metrics and `app.databaseUrl` for other clients.
 *
 * @module
 */
import dbMetrics from '@data20/db-metrics'
import postgres from '@fastify/postgres'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { DATABASE_TIMEOUTS, openDatabase, PatientClient } from '../database.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The address of the database, with its password. */
    databaseUrl: string
  }
}

/** Options of the plugin. */
export interface DatabaseOptions {
  /** Uses a database that another process runs and starts none. @default false */
  isBorrowed?: boolean
}

async function database(app: FastifyInstance, { isBorrowed = false }: DatabaseOptions): Promise<void> {
  const { url, source, close } = await openDatabase(app.config, { isBorrowed })
  app.addHook('onClose', () => close())
  app.log.info(`the runs are in ${source}`)

  app.decorate('databaseUrl', url)
  await app.register(postgres, { connectionString: url, Client: PatientClient, ...DATABASE_TIMEOUTS })
  // Without a listener, an idle connection that breaks would end the process.
  app.pg.pool.on('error', (error) => app.log.warn({ err: error }, 'a connection to the database broke'))
  await app.register(dbMetrics)
}

export default fp(database, { name: 'database', fastify: '5.x', dependencies: ['metrics'] })
