/**
 * What is said of a run that did not complete, the same for inline and for queued runs.
 *
 * @module
 */

import { ToolError } from '../knowledge/tools/index.ts'
import type { RunFailure, RunStatus } from './store.ts'

/** How a run ended, and what its caller is told. */
export interface FailedRun {
  status: Extract<RunStatus, 'failed' | 'timeout'>
  statusCode: number
  failure: RunFailure
  /** Whether another attempt would end in the same way: the request is at fault. */
  isPermanent: boolean
}

/** Describes the error of a tool whose run was not cancelled. */
export function describeFailure(error: unknown, tool: string, timeoutMs: number): FailedRun {
  const { message, cause } = error as Error & { cause?: Error }
  if (cause?.name === 'TimeoutError') {
    const message = `${tool} took longer than ${timeoutMs} ms and was stopped`
    return { status: 'timeout', statusCode: 504, failure: { code: 'TOOL_TIMEOUT', message }, isPermanent: false }
  }
  if (error instanceof ToolError && error.statusCode < 500) {
    return { status: 'failed', statusCode: error.statusCode, failure: failureOf(error), isPermanent: true }
  }
  return { status: 'failed', statusCode: 500, failure: { code: 'TOOL_FAILED', message }, isPermanent: false }
}

/** A tool's refusal, with the parameter that is to blame. */
export function failureOf({ code, field, message }: ToolError): RunFailure {
  if (field === undefined) return { code, message }
  return { code, message, details: [{ field: field === '' ? 'params' : `params.${field}`, message }] }
}
