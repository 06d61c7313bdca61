/**
 * The history of runs.
 *
 * @module
 */
import type { FastifyPluginAsyncJsonSchemaToTs } from '@fastify/type-provider-json-schema-to-ts'
import { ApiError } from '../errors.ts'
import { type HistoryPosition, RUN_STATUSES } from '../runs/run.ts'
import { sendWithResult } from './result.ts'
import { ErrorBody } from './schemas.ts'

const Run = {
  type: 'object',
  properties: {
    run_id: { type: 'string' },
    tool: { type: 'string' },
    status: {
      enum: RUN_STATUSES,
      description:
        'queued: also between two attempts. timeout, failed: after the last attempt. cancelled: the caller left, or the backend closed.',
    },
    attempts: { type: 'integer', description: 'Begun so far.' },
    created_at: { type: 'string', description: 'ISO 8601, as all times.' },
    started_at: { type: 'string', description: 'Start of the last attempt.' },
    finished_at: { type: 'string' },
    duration_ms: { type: 'number', description: 'Of the last attempt that ended.' },
    error: {
      type: 'object',
      properties: {
        code: { type: 'string' },
        message: { type: 'string' },
        details: {
          type: 'array',
          items: {
            type: 'object',
            properties: { field: { type: 'string' }, message: { type: 'string' } },
            required: ['field', 'message'],
            additionalProperties: false,
          },
        },
      },
      required: ['code', 'message'],
      additionalProperties: false,
      description: 'Why the last attempt did not complete.',
    },
  },
  required: ['run_id', 'tool', 'status', 'attempts', 'created_at'],
  additionalProperties: false,
} as const

const RunWithResult = {
  ...Run,
  properties: { ...Run.properties, result: { description: 'The result of a completed run.' } },
} as const

const Query = {
  type: 'object',
  properties: {
    status: { enum: RUN_STATUSES },
    // A text of PostgreSQL cannot hold a NUL.
    tool: { type: 'string', minLength: 1, maxLength: 100, pattern: '^[^\\0]*$' },
    limit: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
    cursor: { type: 'string', maxLength: 200, description: 'The `next_cursor` of the previous page.' },
  },
  required: ['limit'],
  additionalProperties: false,
} as const

/** The creation time of a run in microseconds, which fits 16 digits until the year 2286, and its id. */
const CURSOR = /^(\d{1,16}):([0-9a-f-]{36})$/

/** `GET /api/runs` and `GET /api/runs/:id`: the history, newest first. */
export const historyRoutes: FastifyPluginAsyncJsonSchemaToTs = async (app) => {
  app.get(
    '/api/runs/:id',
    {
      schema: {
        summary: 'One run',
        params: { type: 'object', properties: { id: { type: 'string', maxLength: 100 } }, required: ['id'] } as const,
        response: { 200: RunWithResult, '4xx': ErrorBody, 503: ErrorBody },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      await app.runRecorder.settle()
      const found = UUID.test(id) ? await app.runStore.find(id) : undefined
      if (found === undefined) throw new ApiError(404, 'UNKNOWN_RUN', `There is no run ${id}`)
      return sendWithResult(reply, found.run, found.result)
    },
  )

  app.get(
    '/api/runs',
    {
      schema: {
        summary: 'The runs, newest first, without their results',
        querystring: Query,
        response: {
          200: {
            type: 'object',
            properties: {
              runs: { type: 'array', items: Run },
              next_cursor: { type: 'string', description: 'Where the next page begins; absent on the last page.' },
            },
            required: ['runs'],
          } as const,
          '4xx': ErrorBody,
          503: ErrorBody,
        },
      },
      preValidation(request, _reply, done) {
        // A query holds strings, and Ajv converts no types here. A limit that is not a number becomes NaN, which is
        // refused.
        const query = request.query as { limit?: unknown }
        if (query.limit !== undefined) query.limit = Number(query.limit)
        done()
      },
    },
    async (request) => {
      const { status, tool, limit, cursor } = request.query
      const after = cursor === undefined ? undefined : readCursor(cursor)
      await app.runRecorder.settle()
      // One more than asked for shows that there is a next page.
      const rows = await app.runStore.list({ status, tool, limit: limit + 1, after })
      const page = rows.slice(0, limit)
      const last = rows.length > limit ? page.at(-1) : undefined
      return { runs: page.map(({ run }) => run), ...(last && { next_cursor: writeCursor(last.position) }) }
    },
  )
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function writeCursor({ createdMicros, id }: HistoryPosition): string {
  return Buffer.from(`${createdMicros}:${id}`).toString('base64url')
}

function readCursor(cursor: string): HistoryPosition {
  const match = CURSOR.exec(Buffer.from(cursor, 'base64url').toString())
  if (match === null || !UUID.test(match[2]!)) {
    const message = 'must be the next_cursor of an earlier answer'
    throw new ApiError(400, 'INVALID_CURSOR', `cursor ${message}`, { details: [{ field: 'cursor', message }] })
  }
  return { createdMicros: match[1]!, id: match[2]! }
}
