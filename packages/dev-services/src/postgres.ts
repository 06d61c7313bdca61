/**
 * Starts a real PostgreSQL.
 * @module
 */
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { PostgresUnavailableError, startPostgres as startEmbedded } from '@data20/embedded-postgres'
import { ToolUnavailableError } from './errors.ts'
import { foreignService, type Service } from './service.ts'
import { temporaryDirectory } from './temporary.ts'

export interface PostgresServiceOptions {
  /**
   * The data directory, which is kept.
   * @default the server of `DATABASE_URL`, else a temporary folder that `stop` deletes
   */
  directory?: string
  /** @default a free port */
  port?: number
  /** @default 100 */
  maxConnections?: number
  /**
   * `false` disables fsync. That is faster, and commits still survive `kill`, which is not a crash of the machine.
   * @default true
   */
  durable?: boolean
}

/** Starts a real PostgreSQL. Its address is that of a superuser. Throws {@link ToolUnavailableError}. */
export async function startPostgres(options: PostgresServiceOptions = {}): Promise<Service> {
  const { DATABASE_URL } = process.env
  if (DATABASE_URL && options.directory === undefined) return foreignService(DATABASE_URL, 'DATABASE_URL')

  const { directory, dispose } = options.directory
    ? { directory: options.directory, dispose: () => {} }
    : temporaryDirectory('postgres')
  // For root, PostgreSQL may have to run as nobody, who must be able to traverse this folder. The data directory in it
  // is private.
  if (options.directory === undefined) chmodSync(directory, 0o711)
  try {
    const server = await startEmbedded({ ...options, directory: options.directory ?? join(directory, 'data') })
    return {
      url: server.url,
      source: server.source,
      get pid() {
        return server.pid
      },
      async stop() {
        await server.stop()
        dispose()
      },
      kill: () => server.kill(),
      restart: () => server.restart(),
    }
  } catch (error) {
    dispose()
    if (error instanceof PostgresUnavailableError) throw new ToolUnavailableError(error.message, { cause: error })
    throw error
  }
}
