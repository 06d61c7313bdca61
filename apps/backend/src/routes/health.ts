/**
 * The health of the process, for supervisors and load balancers.
 *
 * @module
 */
import { access } from 'node:fs/promises'
import type { FastifyPluginAsyncJsonSchemaToTs } from '@fastify/type-provider-json-schema-to-ts'
import { ApiError, type Detail } from '../errors.ts'
import { ErrorBody } from './schemas.ts'

/** `GET /health/live` for a supervisor that restarts the process, `GET /health/ready` for a load balancer. */
export const healthRoutes: FastifyPluginAsyncJsonSchemaToTs = async (app) => {
  const Health = { type: 'object', properties: { status: { type: 'string' } }, required: ['status'] } as const
  const checks = {
    documents: () => access(app.config.DOCS_DIR),
    database: () => app.runStore.check(),
    queue: () => app.runQueue.check(),
  }

  app.get(
    '/health/live',
    { schema: { summary: 'Liveness: the process answers', response: { 200: Health } } },
    async () => ({ status: 'live' }),
  )

  app.get(
    '/health/ready',
    {
      schema: {
        summary: 'Readiness: the documents, the database and the queue can be reached',
        response: { 200: Health, 503: ErrorBody },
      },
    },
    async () => {
      const failed = (await Promise.all(Object.entries(checks).map(examine))).flat()
      if (failed.length === 0) return { status: 'ready' }
      const what = failed.map(({ field }) => field).join(' and ')
      throw new ApiError(503, 'NOT_READY', `Not ready: ${what} cannot be reached`, { details: failed })
    },
  )

  async function examine([field, check]: [string, () => Promise<void>]): Promise<Detail[]> {
    try {
      await check()
      return []
    } catch (error) {
      app.log.warn({ err: error }, `not ready: ${field}`)
      const { code = 'no answer' } = error as NodeJS.ErrnoException
      return [{ field, message: code }]
    }
  }
}
