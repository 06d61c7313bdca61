/**
 * The errors of embedded-postgres.
 * @module
 */

/** No PostgreSQL can run here. The message is one sentence and says what to do. */
export class PostgresUnavailableError extends Error {
  override readonly name = 'PostgresUnavailableError'
  readonly code = 'POSTGRES_UNAVAILABLE'
}

/**
 * A server did not start, or does not allow the operation. After a failed start the message ends with PostgreSQL's last
 * output.
 */
export class PostgresServerError extends Error {
  override readonly name = 'PostgresServerError'
  readonly code = 'POSTGRES_SERVER'
}
