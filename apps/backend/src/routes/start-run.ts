/**
 * Starts runs, inline and queued.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { FastifyPluginAsyncJsonSchemaToTs } from '@fastify/type-provider-json-schema-to-ts'
import type { FastifyReply } from 'fastify'
import { ApiError } from '../errors.ts'
import { findTool, ToolError } from '../knowledge/tools/index.ts'
import { parseParameters } from '../knowledge/tools/parameters.ts'
import { failureOf } from '../runs/failure.ts'
import type { RunningRun } from '../runs/running.ts'
import { sendWithResult } from './result.ts'
import { ErrorBody } from './schemas.ts'

const RunRequest = {
  type: 'object',
  properties: {
    tool: { type: 'string', minLength: 1, maxLength: 100, description: 'A name from GET /api/tools.' },
    params: { type: 'object', properties: {}, additionalProperties: true, description: "The tool's parameters." },
    mode: {
      enum: ['inline', 'queued'],
      description: 'inline (default): the answer holds the result. queued: GET /api/runs/:id tells how the run goes.',
    },
    cache: {
      type: 'boolean',
      description: 'false: the tool runs even if its result is known. A queued run always does. Default: true.',
    },
  },
  required: ['tool'],
  additionalProperties: false,
} as const

const RunAnswer = {
  type: 'object',
  properties: {
    run_id: { type: 'string', description: 'With `cached`, the run that gave the result.' },
    tool: { type: 'string' },
    status: { const: 'completed' },
    cached: { const: true, description: 'The result was known, and nothing was executed.' },
    result: {},
    duration_ms: { type: 'number' },
  },
  required: ['run_id', 'tool', 'status', 'result', 'duration_ms'],
} as const

const QueuedAnswer = {
  type: 'object',
  properties: { run_id: { type: 'string' }, status: { const: 'queued' } },
  required: ['run_id', 'status'],
} as const

/** A tool to run and its parameters, validated and complete with defaults. */
interface Call {
  tool: string
  params: Record<string, unknown>
}

/**
 * `POST /api/run`: runs a tool while the caller waits, or accepts a run for the queue. A caller that leaves, and a
 * shutdown, cancel an inline run.
 */
export const startRunRoutes: FastifyPluginAsyncJsonSchemaToTs = async (app) => {
  const { config, resultCache: cache, running, runQueue, runRecorder, runStore, toolMetrics, toolPool } = app
  const { MAX_JOB_BYTES: maxJobBytes, QUEUE_ATTEMPTS: attempts, TOOL_TIMEOUT_MS: timeoutMs } = config

  app.post(
    '/api/run',
    {
      schema: {
        summary: 'Run a tool',
        body: RunRequest,
        response: { 200: RunAnswer, 202: QueuedAnswer, '4xx': ErrorBody, '5xx': ErrorBody },
      },
      // A body that is refused never becomes a run.
      errorHandler(error, request, reply) {
        if ((error as { validation?: unknown }).validation !== undefined) toolMetrics.reject('invalid_input')
        app.errorHandler(error, request, reply)
      },
    },
    async (request, reply) => {
      const { tool, params, mode = 'inline', cache: mayBeCached = true } = request.body
      const call = parseCall(tool, params)
      if (mode === 'queued') return await accept(call, reply)

      const run = running.begin(reply.raw)
      try {
        return await runInline(call, run, mayBeCached, reply)
      } finally {
        run.end()
      }
    },
  )

  /**
   * Validates a call, once for its whole life. Throws for an unknown tool and for wrong parameters, and counts both.
   */
  function parseCall(tool: string, params: unknown): Call {
    try {
      return { tool, params: parseParameters(findTool(tool), params) }
    } catch (error) {
      const isUnknownTool = error instanceof ToolError && error.field === undefined
      toolMetrics.reject(isUnknownTool ? 'unknown_tool' : 'invalid_input')
      // What is nested thousands of levels deep overflows the stack of the validator.
      if (error instanceof RangeError) throw invalidParams(400, 'INVALID_PARAMETER', 'are nested too deeply')
      throw error
    }
  }

  /**
   * Promises the run: once its row is committed it cannot be lost. While the queue is down, the outbox takes it there
   * later.
   */
  async function accept({ tool, params }: Call, reply: FastifyReply): Promise<never> {
    const bytes = Buffer.byteLength(JSON.stringify(params))
    if (bytes > maxJobBytes) {
      toolMetrics.reject('invalid_input')
      const message = `must be ${maxJobBytes} bytes of JSON at most for a queued run, got ${bytes}`
      throw invalidParams(413, 'JOB_TOO_LARGE', message)
    }
    const id = randomUUID()
    await runStore.create({ id, tool, params, maxAttempts: attempts })
    try {
      await runQueue.add([{ id, tool, attemptsLeft: attempts }])
      // The caller does not wait for this note. Without it, the outbox asks the queue.
      runStore.markEnqueued([id]).catch((error) => app.log.debug({ err: error }, 'not noted as enqueued'))
    } catch (error) {
      app.log.warn({ err: error, run_id: id }, 'a run waits in the database until the queue can be reached')
    }
    reply.code(202).header('location', `/api/runs/${id}`)
    return { run_id: id, status: 'queued' } as never
  }

  /** Answers from the cache, or executes the tool. */
  async function runInline(
    call: Call,
    run: RunningRun,
    mayBeCached: boolean,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    const { tool, params } = call
    const startMs = performance.now()
    const key = await run.unlessAborted(cache.keyOf(tool, params))
    const known = mayBeCached && key !== undefined ? cache.entries.get(key) : undefined
    if (known !== undefined) {
      const duration_ms = Math.round(performance.now() - startMs)
      return sendWithResult(
        reply,
        { run_id: known.runId, tool, status: 'completed', cached: true, duration_ms },
        known.json,
      )
    }
    // A run that was aborted meanwhile executes nothing: it ends below as every cancelled run does.
    if (!run.signal.aborted) admit(run)
    return await execute(call, run, key, reply)
  }

  function admit(run: RunningRun): void {
    try {
      run.admit()
    } catch (error) {
      toolMetrics.reject('overloaded')
      throw error
    }
  }

  async function execute(
    { tool, params }: Call,
    run: RunningRun,
    key: string | undefined,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    const { signal } = run
    const id = randomUUID()
    const startedMs = Date.now()
    const start = performance.now()
    const durationMs = () => Math.round(performance.now() - start)
    let json: string
    try {
      const result = await toolMetrics.track(tool, (signal) => toolPool.run(tool, params, { signal }), {
        signal,
        timeoutMs,
      })
      json = JSON.stringify(result)
    } catch (cause) {
      const error = failureOf(cause, { id, tool }, { timeoutMs, signal })
      runRecorder.record({ id, tool, params, status: error.status, startedMs, durationMs: durationMs(), error })
      throw error
    }
    runRecorder.record({ id, tool, params, status: 'completed', startedMs, durationMs: durationMs(), result: json })
    // Documents that have changed meanwhile: it is not known on which of them the tool worked.
    const isCurrent = key !== undefined && (await run.unlessAborted(cache.keyOf(tool, params))) === key
    if (isCurrent) cache.entries.set(key, { runId: id, json })
    return sendWithResult(reply, { run_id: id, tool, status: 'completed', duration_ms: durationMs() }, json)
  }
}

function invalidParams(statusCode: number, code: string, message: string): ApiError {
  return new ApiError(statusCode, code, `params ${message}`, { details: [{ field: 'params', message }] })
}
