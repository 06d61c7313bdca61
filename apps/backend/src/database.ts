/**
 * Opens the database: a PostgreSQL that this process starts, or the one that `DATABASE_URL` names. Migrates its schema.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { type PostgresServer, startPostgres } from '@data20/embedded-postgres'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import type { Config } from './config.ts'
import { ConfigError } from './errors.ts'

/** A database with an up-to-date schema. */
export interface Database {
  url: string
  /** The origin of the database, for a log line. */
  source: string
  /** Stops the server if this process started it. To be called after everything that uses it is closed. */
  close(): Promise<void>
}

/** The schema of every table of the backend, so that it can share a database. */
export const SCHEMA = 'data20'

/** Time limits of connections and queries, in milliseconds, so that no caller waits for a database that hangs. */
export const DATABASE_TIMEOUTS = {
  connectionTimeoutMillis: 2000,
  // The limit of the server, and that of the client for a server that does not answer.
  statement_timeout: 10_000,
  query_timeout: 11_000,
  keepAlive: true,
} as const

/**
 * A client whose connection may break at any time. A pool listens to a client only while it is idle and not being
 * ended, and BullMQ uses clients without a listener of its own: the server's shutdown at any other moment would end the
 * process. A query in flight rejects in any case.
 */
export class PatientClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config)
    this.on('error', () => {})
  }
}

const MIGRATIONS = fileURLToPath(new URL('../migrations', import.meta.url))
const CONNECT_TIMEOUT_MS = 5000
/** Time that another process may take to migrate before us. */
const MIGRATE_TIMEOUT_MS = 60_000

/**
 * Finds or starts the database and migrates its schema. Processes that do so at the same time wait for each other.
 * With `isBorrowed` no server is started: without a `DATABASE_URL`, another process has to run one on `DATA_DIR`.
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
  const missing = () =>
    new ConfigError(`DATABASE_URL is not set, and no backend runs on DATA_DIR ${dataDir}; set either`)
  // Without a server there is none to share, and starting one would make a second cluster.
  if (isBorrowed && !existsSync(path.join(directory, 'postmaster.pid'))) throw missing()
  const server = await startPostgres({ directory }).catch((error) => {
    throw configError(`DATABASE_URL is not set, and no PostgreSQL could be started in DATA_DIR ${dataDir}`, error)
  })
  if (!isBorrowed || server.isShared) return server
  await server.stop()
  throw missing()
}

async function migrate(url: string): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: MIGRATE_TIMEOUT_MS,
  })
  // A connection that breaks rejects the query in flight.
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
      // Waits while another process migrates.
      advisoryLockMode: 'wait',
      log: () => {},
    })
  } catch (error) {
    throw configError(`DATABASE_URL cannot be used: the schema ${SCHEMA} could not be brought up to date`, error)
  } finally {
    await client.end().catch(() => {})
  }
}

/** Returns an error of one line, however many PostgreSQL wrote. */
function configError(what: string, cause: unknown): ConfigError {
  const { message, code } = cause as NodeJS.ErrnoException
  // A name that resolves to several addresses gives an error without a message of its own.
  const reason = (message || code || String(cause)).trim().replace(/\s*\n\s*/g, '; ')
  return new ConfigError(`${what}: ${reason}`, { cause })
}
