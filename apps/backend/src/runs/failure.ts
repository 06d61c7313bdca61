/**
 * Why a run did not complete, the same for inline and for queued runs.
 *
 * @module
 */
import { type ApiError, type Detail, RunFailure, type RunIdentity } from '../errors.ts'
import { ToolError } from '../knowledge/tools/errors.ts'

/** What decides how an error is understood. */
export interface FailureContext {
  /** The time limit of the run, in milliseconds. */
  timeoutMs: number
  /** The signal of an inline run; its reason says why the run was cancelled. */
  signal?: AbortSignal
}

/** Returns the failure of a run whose tool, or whose way to it, threw `error`. */
export function failureOf(error: unknown, run: RunIdentity, { timeoutMs, signal }: FailureContext): RunFailure {
  if (error instanceof RunFailure) return error
  if (signal?.aborted) {
    const { statusCode, code, message, headers } = signal.reason as ApiError
    return new RunFailure(run, statusCode, code, message, { status: 'cancelled', headers, cause: error })
  }
  const { message, cause } = error as Error & { cause?: Error }
  if (cause?.name === 'TimeoutError') {
    const message = `${run.tool} took longer than ${timeoutMs} ms and was stopped`
    return new RunFailure(run, 504, 'TOOL_TIMEOUT', message, { status: 'timeout', cause: error })
  }
  if (error instanceof ToolError && error.statusCode < 500) {
    const { statusCode, code } = error
    return new RunFailure(run, statusCode, code, message, { details: detailsOfToolError(error), isPermanent: true })
  }
  return new RunFailure(run, 500, 'TOOL_FAILED', message, { cause: error })
}

/** Returns the failure of a run that ended each process that executed it. */
export function workerLost(run: RunIdentity, times: number): RunFailure {
  const message = `The process that executed it ended ${times} times before it did; it is not tried again`
  return new RunFailure(run, 500, 'WORKER_LOST', message, { isPermanent: true })
}

/** Returns the failure of a run whose result is larger than what is stored. */
export function resultTooLarge(run: RunIdentity, bytes: number, maxBytes: number): RunFailure {
  const message = `The result has ${bytes} bytes; ${maxBytes} are stored at most (MAX_RESULT_BYTES)`
  return new RunFailure(run, 500, 'RESULT_TOO_LARGE', message, { isPermanent: true })
}

/** Returns the parameter that is wrong, as a field of the request. */
export function detailsOfToolError({ field, message }: ToolError): Detail[] | undefined {
  if (field === undefined) return undefined
  return [{ field: field === '' ? 'params' : `params.${field}`, message }]
}
