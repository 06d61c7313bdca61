/**
 * Answers every error in one shape: `{ statusCode, code, error, message, details? }`.
 *
 * @module
 */
import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ApiError, DatabaseUnavailableError, type Detail, RunFailure } from '../errors.ts'
import { ToolError } from '../knowledge/tools/errors.ts'
import { detailsOfToolError } from '../runs/failure.ts'

/** What an answer is made of. */
interface Answer {
  statusCode: number
  code: string
  message: string
  details?: Detail[] | undefined
}

async function errorHandler(app: FastifyInstance): Promise<void> {
  app.setErrorHandler(answerError)
  app.setNotFoundHandler((request, reply) => {
    const message = `Nothing is at ${request.method} ${request.url.slice(0, 200)}`
    answerError(new ApiError(404, 'NOT_FOUND', message), request, reply)
  })
}

function answerError(error: Error, request: FastifyRequest, reply: FastifyReply): void {
  const { statusCode, code, message, details } = describe(error)
  // 503 is the state of something else, which says so in the log itself.
  if (statusCode >= 500 && statusCode !== 503) request.log.error({ err: error }, 'request failed')
  if (error instanceof ApiError && error.headers) reply.headers(error.headers)
  reply.code(statusCode).send({
    statusCode,
    code,
    error: STATUS_CODES[statusCode] ?? 'Error',
    message,
    ...(details && { details }),
    ...(error instanceof RunFailure && { run_id: error.run.id, tool: error.run.tool, status: error.status }),
  })
}

/** Returns what a caller may know. Unknown errors may hold anything, so only the log has them. */
function describe(error: Error): Answer {
  if (error instanceof ApiError) return error
  if (error instanceof DatabaseUnavailableError) return { statusCode: 503, code: error.code, message: error.message }
  if (error instanceof ToolError) {
    const { statusCode, code, message } = error
    return { statusCode, code, message, details: detailsOfToolError(error) }
  }
  const { statusCode = 500, code = 'INTERNAL_SERVER_ERROR', message } = error as Partial<FastifyError>
  if ((statusCode >= 400 && statusCode < 500) || code.startsWith('FST_')) {
    return { statusCode, code, message: message ?? '', details: detailsOfValidation(error) }
  }
  return { statusCode: 500, code: 'INTERNAL_SERVER_ERROR', message: 'Internal error; see the server log' }
}

function detailsOfValidation(error: Partial<FastifyError>): Detail[] | undefined {
  return error.validation?.map(({ instancePath, params, message = '' }) => {
    const { missingProperty, additionalProperty } = params as Record<string, string | undefined>
    const field = [...instancePath.split('/'), missingProperty ?? additionalProperty ?? ''].filter(Boolean).join('.')
    return { field, message }
  })
}

export default fp(errorHandler, { name: 'error-handler', fastify: '5.x' })
