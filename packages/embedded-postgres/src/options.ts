/** What can be set of an embedded PostgreSQL. */
export interface PostgresOptions {
  /** The data directory. Made when it does not exist; it is all that has to be kept, and all that has to be deleted. */
  directory: string
  /**
   * The port on 127.0.0.1.
   * @default one that is free
   */
  port?: number
  /**
   * How many connections the server accepts, over all clients.
   * @default 100
   */
  maxConnections?: number
  /**
   * Whether what was committed survives a crash of the machine. Without it tests run faster, and it still survives a crash
   * of the server.
   * @default true
   */
  durable?: boolean
  /**
   * Called with each line of the server's log. A callback that throws ends the process, as any listener does.
   * @default the log is dropped
   */
  log?: (line: string) => void
}
