import { randomUUID } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { ApiError, ErrorBody } from '../errors.ts'
import { findTool, parseParameters, ToolError } from '../tools/index.ts'
import type { ToolPool } from '../tools/pool.ts'

/** What the run routes need. */
export interface RunOptions {
  pool: ToolPool
  /** Milliseconds after which a run is stopped. */
  timeoutMs: number
  /** Runs at the same time. */
  maxConcurrentRuns: number
}

const RunRequest = Type.Object(
  {
    tool: Type.String({ minLength: 1, maxLength: 100, description: 'A name from GET /api/tools.' }),
    params: Type.Optional(Type.Object({}, { additionalProperties: true, description: "The tool's parameters." })),
    mode: Type.Optional(Type.Enum(['inline'], { description: 'inline: the answer holds the result.' })),
  },
  { additionalProperties: false },
)

const RunAnswer = Type.Object({
  run_id: Type.String(),
  tool: Type.String(),
  status: Type.Literal('completed'),
  result: Type.Unknown(),
  duration_ms: Type.Number(),
})

/** `POST /api/run`: runs a tool while the caller waits; the caller's leaving cancels the run. */
export const runRoutes: FastifyPluginAsyncTypebox<RunOptions> = async (app, options) => {
  const { pool, timeoutMs, maxConcurrentRuns } = options
  const running = new Set<AbortController>()
  const closing = new ApiError(503, 'CLOSING', 'The backend is closing')

  // Nobody waits for a run of minutes when the process is told to end.
  app.addHook('preClose', async () => {
    for (const run of running) run.abort(closing)
  })

  app.post(
    '/api/run',
    {
      schema: {
        summary: 'Run a tool',
        body: RunRequest,
        response: { 200: RunAnswer, '4xx': ErrorBody, '5xx': ErrorBody },
      },
      // Bodies that are refused never become a run.
      errorHandler(error, request, reply) {
        if ((error as { validation?: unknown }).validation !== undefined) app.toolMetrics.reject('invalid_input')
        app.errorHandler(error, request, reply)
      },
    },
    async (request, reply) => {
      const { tool, params } = request.body
      const parameters = checked(tool, params)
      if (running.size >= maxConcurrentRuns) {
        app.toolMetrics.reject('overloaded')
        reply.header('retry-after', '1')
        throw new ApiError(503, 'TOO_MANY_RUNS', `${running.size} runs are under way already; try again later`)
      }
      return await runInline(tool, parameters, reply)
    },
  )

  /** The parameters with their defaults. Throws for an unknown tool and for wrong parameters, and counts both. */
  function checked(tool: string, params: unknown): Record<string, unknown> {
    try {
      return parseParameters(findTool(tool), params)
    } catch (error) {
      const { code, field } = error as ToolError
      app.toolMetrics.reject(field === undefined ? 'unknown_tool' : 'invalid_input')
      throw new ApiError(...answerOf(error as ToolError), code === undefined ? {} : detailsOf(error as ToolError))
    }
  }

  async function runInline(tool: string, parameters: Record<string, unknown>, reply: FastifyReply) {
    const run_id = randomUUID()
    const run = new AbortController()
    const cancel = () => run.abort(new DOMException('The client left', 'AbortError'))
    const start = performance.now()
    running.add(run)
    reply.raw.once('close', cancel)
    try {
      const result = await app.toolMetrics.track(tool, (signal) => pool.run(tool, parameters, { signal }), {
        signal: run.signal,
        timeoutMs,
      })
      return { run_id, tool, status: 'completed' as const, result, duration_ms: Math.round(performance.now() - start) }
    } catch (error) {
      // A connection kept alive would hold the server that is closing.
      if (run.signal.reason === closing) reply.header('connection', 'close')
      throw failure(error, run_id, tool, run.signal)
    } finally {
      running.delete(run)
      reply.raw.off('close', cancel)
    }
  }

  /** The answer to a run that did not complete. */
  function failure(error: unknown, run_id: string, tool: string, { aborted, reason }: AbortSignal): ApiError {
    if (aborted) {
      const { statusCode = 499, code = 'CLIENT_LEFT', message } = reason as Partial<ApiError>
      return new ApiError(statusCode, String(code), message ?? '', { run_id, tool, status: 'cancelled' })
    }
    const cause = error as Error & { cause?: Error }
    if (cause.cause?.name === 'TimeoutError') {
      const message = `${tool} took longer than ${timeoutMs} ms and was stopped`
      return new ApiError(504, 'TOOL_TIMEOUT', message, { run_id, tool, status: 'timeout' }, { cause })
    }
    if (error instanceof ToolError && error.statusCode < 500) {
      return new ApiError(...answerOf(error), { ...detailsOf(error), run_id, tool, status: 'failed' }, { cause })
    }
    return new ApiError(500, 'TOOL_FAILED', cause.message, { run_id, tool, status: 'failed' }, { cause })
  }
}

function answerOf({ statusCode, code, message }: ToolError): [number, string, string] {
  return [statusCode, code, message]
}

function detailsOf({ field, message }: ToolError): { details?: Array<{ field: string; message: string }> } {
  return field === undefined ? {} : { details: [{ field: field === '' ? 'params' : `params.${field}`, message }] }
}
