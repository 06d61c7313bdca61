import { access } from 'node:fs/promises'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { ApiError, ErrorBody } from '../errors.ts'

/** `GET /health/live` for whoever restarts the process, `GET /health/ready` for whoever sends it requests. */
export const healthRoutes: FastifyPluginAsyncTypebox<{ docsDir: string }> = async (app, { docsDir }) => {
  const Health = Type.Object({ status: Type.String() })

  app.get(
    '/health/live',
    { schema: { summary: 'Whether the process answers', response: { 200: Health } } },
    async () => ({
      status: 'live',
    }),
  )

  app.get(
    '/health/ready',
    { schema: { summary: 'Whether requests can be served', response: { 200: Health, 503: ErrorBody } } },
    async () => {
      await access(docsDir).catch((cause) => {
        throw new ApiError(503, 'NOT_READY', 'The documents cannot be read', {}, { cause })
      })
      return { status: 'ready' }
    },
  )
}
