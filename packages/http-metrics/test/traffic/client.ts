/** A client of HTTP/1.1: whole exchanges, and bytes on a connection. */
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import type { FastifyInstance } from 'fastify'
import { arrived } from './app.ts'
import type { Ledger } from './ledger.ts'

export const HOST = 'Host: localhost\r\n'

/** One kind of exchange: performs it and enters it in the ledger. */
export type Exchange = (client: Client, ledger: Ledger) => Promise<void>

export interface Client {
  port: number
  agent: http.Agent
  app: FastifyInstance
}

/** Sends a request and reads the whole response. Resolves to its status. */
export async function complete(
  { port, agent }: Client,
  method: string,
  path: string,
  body?: string,
  headers: http.OutgoingHttpHeaders = {},
): Promise<number> {
  const request = http.request({ port, host: '127.0.0.1', agent, method, path, headers })
  request.end(body)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  response.resume()
  await once(response, 'end')
  return response.statusCode as number
}

/** When a client ends its connection. */
export type HangUp = 'never' | 'with the request' | 'once arrived' | 'at first bytes'

/**
 * Writes bytes and hangs up as told. Resolves to what was received, when the connection is closed. `requests` is the
 * number of requests in the bytes, for a client that hangs up once they have arrived.
 */
export async function raw(
  { port }: Client,
  bytes: string,
  hangUp: HangUp,
  { reset = false, requests = 1 } = {},
): Promise<string> {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: hangUp === 'with the request' })
  let received = ''
  // A server that closes the connection before it has read everything resets it, which is an end too.
  const closed = new Promise((resolve) => socket.on('error', () => {}).on('close', resolve))
  socket.on('data', (data) => {
    received += data.toString('latin1')
    if (hangUp === 'at first bytes') hang()
  })
  await once(socket, 'connect')
  if (hangUp === 'once arrived') arrived(`${socket.localPort}`, requests).then(hang)
  socket.write(bytes)
  if (hangUp === 'with the request') socket.end()
  await closed
  return received

  function hang(): void {
    if (reset) socket.resetAndDestroy()
    else socket.destroy()
  }
}

/** Sends a GET with these header lines and returns the answer. Throws unless it has the status. */
export async function get(
  client: Client,
  path: string,
  head: string,
  status: number,
  hangUp: HangUp = 'never',
): Promise<string> {
  const answer = await raw(client, `GET ${path} HTTP/1.1\r\n${head}\r\n`, hangUp)
  if (!answer.startsWith(`HTTP/1.1 ${status}`)) throw new Error(`expected ${status}, got ${answer}`)
  return answer
}

/** Makes an exchange whose client leaves. */
export function leaves(
  endpoint: string,
  head: string,
  hangUp: 'once arrived' | 'at first bytes',
  status: number,
  phase: string | undefined,
  options: { reset?: boolean } = {},
): Exchange {
  return async (client, ledger) => {
    await raw(client, head, hangUp, options)
    ledger.request(endpoint, head.split(' ')[0] as string, status, phase)
  }
}
