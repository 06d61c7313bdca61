import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { tools } from '../tools/index.ts'

/** `GET /api/tools`: what can be run, with the JSON schema of each tool's parameters. */
export const toolRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const answer = {
    tools: Array.from(tools.values(), ({ name, description, parameters }) => ({ name, description, parameters })),
  }

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
    async () => answer,
  )
}
