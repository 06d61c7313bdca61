/**
 * The description of the API, and pages to try it in the browser: `/docs`. Routes registered before are not in it.
 *
 * @module
 */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { NAME, VERSION } from '../package.ts'

async function openapi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      info: {
        title: NAME,
        version: VERSION,
        description: 'Tools over a folder of Markdown documents, served and measured.',
      },
    },
  })
  await app.register(swaggerUi, { routePrefix: '/docs' })
}

export default fp(openapi, { name: 'openapi', fastify: '5.x' })
