import type { FastifyReply } from 'fastify'

/** Sends a body with a result that is JSON already, which may be megabytes: it is neither parsed nor written a second time. */
export function sendWithResult(reply: FastifyReply, body: object, result: string | undefined): FastifyReply {
  const members = JSON.stringify(body)
  reply.type('application/json; charset=utf-8')
  return reply.send(result === undefined ? members : `${members.slice(0, -1)},"result":${result}}`)
}
