/** No PostgreSQL can be run here; the message is one sentence that says what to do. */
export class PostgresUnavailableError extends Error {
  override readonly name = 'PostgresUnavailableError'
  readonly code = 'POSTGRES_UNAVAILABLE'
}

/** A server did not start, or was asked for what it cannot do; the message ends with what PostgreSQL said last. */
export class PostgresServerError extends Error {
  override readonly name = 'PostgresServerError'
  readonly code = 'POSTGRES_SERVER'
}
