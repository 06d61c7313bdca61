/**
 * Judges requests that no hook has seen, on a server that may have other applications behind it.
 *
 * @module
 */
import type { FastifyInstance } from 'fastify'
import type { RawResponse } from './protocol.ts'

/**
 * Returns the function that tells if Fastify answers a request without a hook: a malformed URL with 400, and a request
 * that arrives during `close()` with 503.
 */
export function createUnclaimed(fastify: FastifyInstance): (response: RawResponse) => boolean {
  let isClosing = false
  fastify.addHook('preClose', async () => {
    isClosing = true
  })

  return ({ statusCode, req }) => (statusCode === 503 && isClosing) || (statusCode === 400 && isMalformed(req?.url))
}

function isMalformed(url = ''): boolean {
  try {
    decodeURI(url.split('?', 1)[0]!)
    return false
  } catch {
    return true
  }
}
