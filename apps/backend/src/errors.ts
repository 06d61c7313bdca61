/**
 * The errors of the application, and their codes: plain `UPPER_SNAKE`, public API. `plugins/error-handler.ts` answers
 * them. The tools throw errors of their own, see `knowledge/tools/errors.ts`.
 *
 * @module
 */

/** Rejects a setting. The message names the variable and fits one line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** Names a field of a request and says what is wrong with it. */
export interface Detail {
  field: string
  message: string
}

/** What an {@link ApiError} may hold beside its code and its message. */
export interface ApiErrorOptions extends ErrorOptions {
  details?: Detail[] | undefined
  /** Headers of the answer. */
  headers?: Record<string, string> | undefined
}

/** Answers a request with a status of its own. Callers are told its message and its code. */
export class ApiError extends Error {
  override readonly name: string = 'ApiError'
  readonly statusCode: number
  readonly code: string
  readonly details: Detail[] | undefined
  readonly headers: Record<string, string> | undefined

  constructor(statusCode: number, code: string, message: string, options: ApiErrorOptions = {}) {
    super(message, options)
    this.statusCode = statusCode
    this.code = code
    this.details = options.details
    this.headers = options.headers
  }
}

/** What identifies a run to its caller. */
export interface RunIdentity {
  id: string
  tool: string
}

/** How a run that did not complete ended. */
export type FailedStatus = 'failed' | 'timeout' | 'cancelled'

/** What a {@link RunFailure} may hold beside what every {@link ApiError} has. */
export interface RunFailureOptions extends ApiErrorOptions {
  status?: FailedStatus
  isPermanent?: boolean
}

/** Says why a run did not complete: in the answer, in the history, and to the queue. */
export class RunFailure extends ApiError {
  override readonly name = 'RunFailure'
  readonly run: RunIdentity
  readonly status: FailedStatus
  /** Another attempt would end in the same way. */
  readonly isPermanent: boolean

  constructor(
    run: RunIdentity,
    statusCode: number,
    code: string,
    message: string,
    { status = 'failed', isPermanent = false, ...options }: RunFailureOptions = {},
  ) {
    super(statusCode, code, message, options)
    this.run = run
    this.status = status
    this.isPermanent = isPermanent
  }
}

/** Reports that the database did not answer in time; `cause` is what the driver said. */
export class DatabaseUnavailableError extends Error {
  override readonly name = 'DatabaseUnavailableError'
  readonly code = 'DATABASE_UNAVAILABLE'

  constructor(cause: unknown) {
    super('The database cannot be reached; try again later', { cause })
  }
}
