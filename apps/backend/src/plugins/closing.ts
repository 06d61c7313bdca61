/**
 * Refuses requests that arrive while the application closes, in the shape of every other error.
 *
 * @module
 */
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { ApiError } from '../errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Aborts when the application begins to close. The reason is the error that callers get. */
    closing: AbortSignal
  }
}

async function closing(app: FastifyInstance): Promise<void> {
  const controller = new AbortController()
  // A connection kept alive would hold the server open.
  const error = new ApiError(503, 'CLOSING', 'The backend is closing', { headers: { connection: 'close' } })

  app.decorate('closing', controller.signal)

  // The first of these hooks, so the others find the signal aborted.
  app.addHook('preClose', async () => controller.abort(error))
  app.addHook('onRequest', (_request, _reply, done) => {
    if (controller.signal.aborted) done(error)
    else done()
  })
}

export default fp(closing, { name: 'closing', fastify: '5.x', dependencies: ['error-handler'] })
