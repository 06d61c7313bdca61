/**
 * The database: a PostgreSQL of the process's own, or the one that `DATABASE_URL` names, with the schema as it has to be.
 *
 * @module
 */
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { type PostgresServer, startPostgres } from '@data20/embedded-postgres'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import type { Config } from './config.ts'
import { ConfigError } from './config-error.ts'

/** A database that can be used. */
export interface Database {
  url: string
  /** Where it comes from, for a log line. */
  source: string
  /** Ends a server that this process started; to be called after all that uses it is closed. */
  close(): Promise<void>
}

/** The schema of every table of the backend, so that a database can be shared. */
export const SCHEMA = 'data20'

/** Bounds on what the database may take, so that nobody waits for one that hangs: milliseconds. */
export const DATABASE_TIMEOUTS = {
  connectionTimeoutMillis: 2000,
  // The server's own limit, and ours for a server that does not answer at all.
  statement_timeout: 10_000,
  query_timeout: 11_000,
  keepAlive: true,
} as const

const MIGRATIONS = fileURLToPath(new URL('../migrations', import.meta.url))
const CONNECT_TIMEOUT_MS = 5000
/** As long as another process may take to migrate before us. */
const MIGRATE_TIMEOUT_MS = 60_000

/**
 * Finds or starts the database and brings its schema up to date; several processes at once do so one after another.
 * With `isBorrowed` no server is started: where `DATABASE_URL` is not set, one that another process runs has to be there.
 * Throws a {@link ConfigError} for a database that cannot be reached or started.
 */
export async function openDatabase(config: Config, { isBorrowed = false } = {}): Promise<Database> {
  const server = config.DATABASE_URL === '' ? await startServer(config.DATA_DIR, isBorrowed) : undefined
  const url = server?.url ?? config.DATABASE_URL
  try {
    await migrate(url)
  } catch (error) {
    await server?.stop()
    throw error
  }
  return { url, source: server?.source ?? 'DATABASE_URL', close: async () => await server?.stop() }
}

async function startServer(dataDir: string, isBorrowed: boolean): Promise<PostgresServer> {
  const directory = path.join(dataDir, 'postgres')
  const server = await startPostgres({ directory }).catch((error) => {
    throw configError(`DATABASE_URL is not set, and no PostgreSQL could be started in DATA_DIR ${dataDir}`, error)
  })
  if (!isBorrowed || server.isShared) return server
  await server.stop()
  throw new ConfigError(`DATABASE_URL is not set, and no backend runs on DATA_DIR ${dataDir}; set either`)
}

async function migrate(url: string): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: MIGRATE_TIMEOUT_MS,
  })
  // A connection that breaks shows in the query that is under way.
  client.on('error', () => {})
  try {
    await client.connect()
  } catch (error) {
    throw configError('DATABASE_URL cannot be reached', error)
  }
  try {
    await runner({
      dbClient: client,
      dir: MIGRATIONS,
      direction: 'up',
      schema: SCHEMA,
      createSchema: true,
      migrationsTable: 'migrations',
      // Waits for a process that migrates at this moment.
      advisoryLockMode: 'wait',
      log: () => {},
    })
  } catch (error) {
    throw configError(`DATABASE_URL cannot be used: the schema ${SCHEMA} could not be brought up to date`, error)
  } finally {
    await client.end().catch(() => {})
  }
}

/** One line, whatever PostgreSQL said. */
function configError(what: string, cause: unknown): ConfigError {
  const { message, code } = cause as NodeJS.ErrnoException
  // An address that resolves to several has one error for each and no message of its own.
  const reason = (message || code || String(cause)).trim().replace(/\s*\n\s*/g, '; ')
  return new ConfigError(`${what}: ${reason}`, { cause })
}
