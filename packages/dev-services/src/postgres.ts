import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { PostgresUnavailableError, startPostgres as startEmbedded } from '@data20/embedded-postgres'
import { ToolUnavailableError } from './errors.ts'
import { foreignService, type Service } from './service.ts'
import { temporaryDirectory } from './temporary.ts'

export interface PostgresServiceOptions {
  /**
   * Where the data are and stay.
   * @default the server of `DATABASE_URL`, else a temporary folder that `stop` deletes
   */
  directory?: string
  /** @default one that is free */
  port?: number
  /** @default 100 */
  maxConnections?: number
  /**
   * `false` does without fsync: faster, and still safe over `kill`, which is no crash of the machine.
   * @default true
   */
  durable?: boolean
}

/** A real PostgreSQL, with a superuser in its address. Throws {@link ToolUnavailableError}. */
export async function startPostgres(options: PostgresServiceOptions = {}): Promise<Service> {
  const { DATABASE_URL } = process.env
  if (DATABASE_URL && options.directory === undefined) return foreignService(DATABASE_URL, 'DATABASE_URL')

  const { directory, dispose } = options.directory
    ? { directory: options.directory, dispose: () => {} }
    : temporaryDirectory('postgres')
  // Where root's PostgreSQL has to run as nobody it passes through; its data directory below is closed.
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
