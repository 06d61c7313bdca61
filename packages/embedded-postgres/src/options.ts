/**
 * The options of an embedded PostgreSQL.
 * @module
 */
export interface PostgresOptions {
  /**
   * The data directory. Created if it does not exist. It holds everything: keep it to keep the data, delete it to
   * delete them.
   */
  directory: string
  /**
   * The port on 127.0.0.1.
   * @default a free port
   */
  port?: number
  /**
   * The maximum number of connections, over all clients.
   * @default 100
   */
  maxConnections?: number
  /**
   * Commits survive a crash of the machine. `false` makes tests faster; commits then survive only a crash of the
   * server.
   * @default true
   */
  durable?: boolean
  /**
   * Called with each line of the server's log. An exception in the callback is uncaught and ends the process.
   * @default the log is dropped
   */
  log?: (line: string) => void
}
