/**
 * The root of the API.
 *
 * @module
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { NAME, VERSION } from '../package.ts'

/** `GET /`: what this is, and where to go from here. */
export const rootRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const answer = {
    name: NAME,
    version: VERSION,
    status: 'running',
    links: {
      tools: '/api/tools',
      run: '/api/run',
      runs: '/api/runs',
      metrics: '/metrics',
      docs: '/docs',
      live: '/health/live',
      ready: '/health/ready',
    },
  }

  app.get(
    '/',
    {
      schema: {
        summary: 'What this is',
        response: {
          200: Type.Object({
            name: Type.String(),
            version: Type.String(),
            status: Type.String(),
            links: Type.Record(Type.String(), Type.String()),
          }),
        },
      },
    },
    async () => answer,
  )
}
