/**
 * Sends results that are JSON already.
 *
 * @module
 */
import type { FastifyReply } from 'fastify'

/**
 * Sends a body and a result that is JSON already. A result may be megabytes, so it is neither parsed nor serialized
 * again.
 */
export function sendWithResult(reply: FastifyReply, body: object, result: string | undefined): FastifyReply {
  const members = JSON.stringify(body)
  reply.type('application/json; charset=utf-8')
  return reply.send(result === undefined ? members : `${members.slice(0, -1)},"result":${result}}`)
}
