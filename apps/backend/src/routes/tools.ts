/**
 * The list of tools.
 *
 * @module
 */
import { disposeHook } from '@data20/cache-metrics'
import type { FastifyPluginAsyncJsonSchemaToTs } from '@fastify/type-provider-json-schema-to-ts'
import { LRUCache } from 'lru-cache'
import { tools } from '../knowledge/tools/index.ts'

/** `GET /api/tools`: the tools, with the JSON schema of their parameters. */
export const toolRoutes: FastifyPluginAsyncJsonSchemaToTs = async (app) => {
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
          200: {
            type: 'object',
            properties: {
              tools: {
                type: 'array',
                items: {
                  type: 'object',
                  properties: { name: { type: 'string' }, description: { type: 'string' }, parameters: {} },
                  required: ['name', 'description', 'parameters'],
                },
              },
            },
            required: ['tools'],
          } as const,
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
