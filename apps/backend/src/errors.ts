/**
 * Errors as callers of the API see them: `{ statusCode, code, error, message, details? }`, whatever went wrong.
 *
 * @module
 */
import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'

/** What every error answer holds; a run that failed says so beside it. */
export const ErrorBody = Type.Object({
  statusCode: Type.Integer(),
  code: Type.String({ description: 'For programs: what went wrong.' }),
  error: Type.String({ description: 'The name of the status.' }),
  message: Type.String({ description: 'For people: what went wrong.' }),
  details: Type.Optional(Type.Array(Type.Object({ field: Type.String(), message: Type.String() }))),
  run_id: Type.Optional(Type.String()),
  tool: Type.Optional(Type.String()),
  status: Type.Optional(Type.String()),
})

/** A field of a request and what is wrong with it. */
export interface Detail {
  field: string
  message: string
}

/** An error with everything that its answer says. */
export class ApiError extends Error {
  readonly statusCode: number
  readonly code: string
  /** Further members of the answer. */
  readonly members: Partial<Static<typeof ErrorBody>>

  constructor(
    statusCode: number,
    code: string,
    message: string,
    members: Partial<Static<typeof ErrorBody>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.statusCode = statusCode
    this.code = code
    this.members = members
  }
}

/** Answers any error in the one shape; what is not the caller's fault is logged, and only its name is told. */
export function answerError(
  error: FastifyError | ApiError | Error,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const { statusCode: given, code = 'INTERNAL_SERVER_ERROR' } = error as Partial<FastifyError>
  const statusCode = given !== undefined && given >= 400 && given < 600 ? given : 500
  const isKnown = error instanceof ApiError || statusCode < 500 || code.startsWith('FST_')
  if (statusCode >= 500 && statusCode !== 503) request.log.error({ err: error }, 'request failed')
  const details = detailsOf(error)
  reply.code(statusCode).send({
    statusCode,
    code,
    error: STATUS_CODES[statusCode] ?? 'Error',
    message: isKnown ? error.message : 'Something failed inside; the log has it',
    ...(details && { details }),
    ...(error instanceof ApiError ? error.members : {}),
  })
}

/** Answers a request that matched no route. */
export function answerNotFound(request: FastifyRequest, reply: FastifyReply): void {
  answerError(
    new ApiError(404, 'NOT_FOUND', `Nothing is at ${request.method} ${request.url.slice(0, 200)}`),
    request,
    reply,
  )
}

function detailsOf(error: Partial<FastifyError>): Detail[] | undefined {
  return error.validation?.map(({ instancePath, params, message = '' }) => {
    const { missingProperty, additionalProperty } = params as Record<string, string | undefined>
    const field = [...instancePath.split('/'), missingProperty ?? additionalProperty ?? ''].filter(Boolean).join('.')
    return { field, message }
  })
}
