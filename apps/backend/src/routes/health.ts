import { access } from 'node:fs/promises'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { ApiError, type Detail, ErrorBody } from '../errors.ts'
import type { RunQueue } from '../runs/queue.ts'
import type { RunStore } from '../runs/store.ts'

/** What has to work for the process to be ready. */
export interface HealthOptions {
  docsDir: string
  store: RunStore
  queue: RunQueue
}

/** `GET /health/live` for whoever restarts the process, `GET /health/ready` for whoever sends it requests. */
export const healthRoutes: FastifyPluginAsyncTypebox<HealthOptions> = async (app, { docsDir, store, queue }) => {
  const Health = Type.Object({ status: Type.String() })
  const checks = {
    documents: () => access(docsDir),
    database: () => store.check(),
    queue: () => queue.check(),
  }

  app.get(
    '/health/live',
    { schema: { summary: 'Whether the process answers', response: { 200: Health } } },
    async () => ({
      status: 'live',
    }),
  )

  app.get(
    '/health/ready',
    {
      schema: {
        summary: 'Whether requests can be served: the documents, the database and the queue',
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
