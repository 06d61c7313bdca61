import { randomUUID } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { ApiError, ErrorBody } from '../errors.ts'
import type { ToolPool } from '../knowledge/pool.ts'
import { findTool, parseParameters, type ToolError } from '../knowledge/tools/index.ts'
import { describeFailure, failureOf } from '../runs/failure.ts'
import type { RunQueue } from '../runs/queue.ts'
import type { RunRecorder } from '../runs/recorder.ts'
import type { ResultCache } from '../runs/result-cache.ts'
import type { RunStatus, RunStore } from '../runs/store.ts'
import { sendWithResult } from './result.ts'

/** What the run routes need. */
export interface RunOptions {
  pool: ToolPool
  store: RunStore
  queue: RunQueue
  cache: ResultCache
  recorder: RunRecorder
  /** Milliseconds after which an inline run is stopped. */
  timeoutMs: number
  /** Inline runs at the same time. */
  maxConcurrentRuns: number
  /** Bytes of the parameters of a queued run. */
  maxJobBytes: number
  /** Attempts of a queued run. */
  attempts: number
}

const RunRequest = Type.Object(
  {
    tool: Type.String({ minLength: 1, maxLength: 100, description: 'A name from GET /api/tools.' }),
    params: Type.Optional(Type.Object({}, { additionalProperties: true, description: "The tool's parameters." })),
    mode: Type.Optional(
      Type.Enum(['inline', 'queued'], {
        description: 'inline (default): the answer holds the result. queued: GET /api/runs/:id tells how the run goes.',
      }),
    ),
    cache: Type.Optional(
      Type.Boolean({
        description: 'false: the tool runs even if its result is known. A queued run always does. Default: true.',
      }),
    ),
  },
  { additionalProperties: false },
)

const RunAnswer = Type.Object({
  run_id: Type.String({ description: 'With `cached`, the run that gave the result.' }),
  tool: Type.String(),
  status: Type.Literal('completed'),
  cached: Type.Optional(Type.Literal(true, { description: 'The result was known, and nothing was executed.' })),
  result: Type.Unknown(),
  duration_ms: Type.Number(),
})

const QueuedAnswer = Type.Object({ run_id: Type.String(), status: Type.Literal('queued') })

/** `POST /api/run`: runs a tool while the caller waits, whose leaving cancels the run, or accepts it to be run later. */
export const runRoutes: FastifyPluginAsyncTypebox<RunOptions> = async (app, options) => {
  const { pool, store, queue, cache, recorder, timeoutMs, maxConcurrentRuns, maxJobBytes, attempts } = options
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
        response: { 200: RunAnswer, 202: QueuedAnswer, '4xx': ErrorBody, '5xx': ErrorBody },
      },
      // Bodies that are refused never become a run.
      errorHandler(error, request, reply) {
        if ((error as { validation?: unknown }).validation !== undefined) app.toolMetrics.reject('invalid_input')
        app.errorHandler(error, request, reply)
      },
    },
    async (request, reply) => {
      const { tool, params, mode = 'inline', cache: mayBeCached = true } = request.body
      const parameters = checked(tool, params)
      if (mode === 'queued') return await accept(tool, parameters, reply)

      const startMs = performance.now()
      const key = await cache.keyOf(tool, parameters)
      const known = mayBeCached && key !== undefined ? cache.entries.get(key) : undefined
      if (known !== undefined) {
        const duration_ms = Math.round(performance.now() - startMs)
        const answer = { run_id: known.runId, tool, status: 'completed', cached: true, duration_ms }
        return sendWithResult(reply, answer, known.json)
      }
      if (running.size >= maxConcurrentRuns) {
        app.toolMetrics.reject('overloaded')
        reply.header('retry-after', '1')
        throw new ApiError(503, 'TOO_MANY_RUNS', `${running.size} runs are under way already; try again later`)
      }
      return await runInline(tool, parameters, key, reply)
    },
  )

  /** The parameters with their defaults. Throws for an unknown tool and for wrong parameters, and counts both. */
  function checked(tool: string, params: unknown): Record<string, unknown> {
    try {
      return parseParameters(findTool(tool), params)
    } catch (error) {
      const { statusCode, field } = error as ToolError
      app.toolMetrics.reject(field === undefined ? 'unknown_tool' : 'invalid_input')
      const { code, message, details } = failureOf(error as ToolError)
      throw new ApiError(statusCode, code, message, details && { details })
    }
  }

  /** Promises the run: from here on it is in the database. Where the queue is down, the outbox brings it there later. */
  async function accept(tool: string, params: Record<string, unknown>, reply: FastifyReply): Promise<never> {
    const bytes = Buffer.byteLength(JSON.stringify(params))
    if (bytes > maxJobBytes) {
      app.toolMetrics.reject('invalid_input')
      const message = `must be ${maxJobBytes} bytes of JSON at most for a queued run, got ${bytes}`
      throw new ApiError(413, 'JOB_TOO_LARGE', `params ${message}`, { details: [{ field: 'params', message }] })
    }
    const id = randomUUID()
    await store.create({ id, tool, params, maxAttempts: attempts })
    try {
      await queue.add([{ id, tool, attemptsLeft: attempts }])
      // Nobody has to wait for the note; without it the outbox asks the queue.
      store.markEnqueued([id]).catch((error) => app.log.debug({ err: error }, 'not noted as enqueued'))
    } catch (error) {
      app.log.warn({ err: error, run_id: id }, 'a run waits in the database until the queue can be reached')
    }
    reply.code(202).header('location', `/api/runs/${id}`)
    return { run_id: id, status: 'queued' } as never
  }

  async function runInline(
    tool: string,
    params: Record<string, unknown>,
    key: string | undefined,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    const run_id = randomUUID()
    const run = new AbortController()
    const cancel = () => run.abort(new DOMException('The client left', 'AbortError'))
    const startedMs = Date.now()
    const start = performance.now()
    const durationMs = () => Math.round(performance.now() - start)
    running.add(run)
    reply.raw.once('close', cancel)
    try {
      const result = await app.toolMetrics.track(tool, (signal) => pool.run(tool, params, { signal }), {
        signal: run.signal,
        timeoutMs,
      })
      const json = JSON.stringify(result)
      recorder.record({
        id: run_id,
        tool,
        params,
        status: 'completed',
        startedMs,
        durationMs: durationMs(),
        result: json,
      })
      await remember(key, tool, params, { runId: run_id, json })
      return sendWithResult(reply, { run_id, tool, status: 'completed', duration_ms: durationMs() }, json)
    } catch (error) {
      // A connection kept alive would hold the server that is closing.
      if (run.signal.reason === closing) reply.header('connection', 'close')
      const answer = failure(error, run_id, tool, run.signal)
      const { code, message, members } = answer
      const status = members.status as RunStatus
      recorder.record({
        id: run_id,
        tool,
        params,
        status,
        startedMs,
        durationMs: durationMs(),
        error: { code, message },
      })
      throw answer
    } finally {
      running.delete(run)
      reply.raw.off('close', cancel)
    }
  }

  /** Keeps a result, unless the documents have changed since the run began: whose result it is would not be known. */
  async function remember(
    key: string | undefined,
    tool: string,
    params: Record<string, unknown>,
    result: { runId: string; json: string },
  ): Promise<void> {
    if (key !== undefined && (await cache.keyOf(tool, params)) === key) cache.entries.set(key, result)
  }

  /** The answer to a run that did not complete. */
  function failure(error: unknown, run_id: string, tool: string, { aborted, reason }: AbortSignal): ApiError {
    if (aborted) {
      const { statusCode = 499, code = 'CLIENT_LEFT', message } = reason as Partial<ApiError>
      return new ApiError(statusCode, String(code), message ?? '', { run_id, tool, status: 'cancelled' })
    }
    const { status, statusCode, failure } = describeFailure(error, tool, timeoutMs)
    const { code, message, details } = failure
    const members = { ...(details && { details }), run_id, tool, status }
    return new ApiError(statusCode, code, message, members, { cause: error })
  }
}
