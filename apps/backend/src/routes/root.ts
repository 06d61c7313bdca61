/**
 * The root of the API.
 *
 * @module
 */
import type { FastifyPluginAsyncJsonSchemaToTs } from '@fastify/type-provider-json-schema-to-ts'
import { NAME, VERSION } from '../package.ts'

/** `GET /`: what this is, and where to go from here. */
export const rootRoutes: FastifyPluginAsyncJsonSchemaToTs = async (app) => {
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
          200: {
            type: 'object',
            properties: {
              name: { type: 'string' },
              version: { type: 'string' },
              status: { type: 'string' },
              links: { type: 'object', additionalProperties: { type: 'string' } },
            },
            required: ['name', 'version', 'status', 'links'],
          } as const,
        },
      },
    },
    async () => answer,
  )
}
