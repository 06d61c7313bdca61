/**
 * The list of tools.
 *
 * @module
 */
import { disposeHook } from '@data20/cache-metrics'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { LRUCache } from 'lru-cache'
import { Type } from 'typebox'
import { tools } from '../knowledge/tools/index.ts'

/** `GET /api/tools`: the tools, with the JSON schema of their parameters. */
export const toolRoutes: FastifyPluginAsyncTypebox = async (app) => {
  /** The answer as JSON, under its only key. */
  const registry = new LRUCache<'tools', string>({
    max: 1,
    maxSize: 1_048_576,
    sizeCalculation: (json) => Buffer.byteLength(json),
    dispose: disposeHook(),
  })
  app.cacheMetrics.observe('tool_registry', registry)

  app.get(
    '/api/tools',
    {
      schema: {
        summary: 'The tools and their parameters',
        response: {
          200: Type.Object({
            tools: Type.Array(
              Type.Object({ name: Type.String(), description: Type.String(), parameters: Type.Unknown() }),
            ),
          }),
        },
      },
    },
    async (_request, reply) => {
      let json = registry.get('tools')
      if (json === undefined) {
        json = await app.cacheMetrics.load('tool_registry', describeTools)
        registry.set('tools', json)
      }
      reply.type('application/json; charset=utf-8')
      // Fastify sends a string as it is.
      return json as never
    },
  )
}

function describeTools(): string {
  const described = Array.from(tools.values(), ({ name, description, parameters }) => ({
    name,
    description,
    parameters,
  }))
  return JSON.stringify({ tools: described })
}
