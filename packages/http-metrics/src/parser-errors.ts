/**
 * Counts bytes that never became a request: malformed, too long or too late.
 *
 * @module
 */
import type { Duplex } from 'node:stream'
import type { CounterSeries } from '@data20/metrics-core'
import type { Connections } from './connections.ts'

/** Errors that were counted: several applications may observe the same server. */
const counted = new WeakSet<object>()

/** Returns a listener for `clientError`, which runs before Fastify's destroys the socket. */
export function createParserErrorListener(
  series: ReadonlyMap<string, CounterSeries>,
  connections: Connections,
): (error: { code?: unknown }, socket: Duplex) => void {
  return (error, socket) => {
    const { code } = error
    // Every error that breaks a connection arrives here, including the application's own destroy(error).
    if (!isParserError(code) || socket.destroyed) return
    // Fastify's answer ends the connection. The client takes it for the answer to its first request that has none.
    const measurement = connections.unanswered(socket)
    if (measurement !== undefined) measurement.answered = answeredStatus(code)
    // The bytes of a body belong to a request, which is counted as such.
    if (connections.isReceiving(socket) || counted.has(error)) return
    counted.add(error)
    const counter = series.get(code) ?? series.get('other')
    counter?.inc()
  }
}

/** Returns whether received bytes broke a connection: the parser refused them, or they did not arrive in time. */
function isParserError(code: unknown): code is string {
  return typeof code === 'string' && (code.startsWith('HPE_') || code === 'ERR_HTTP_REQUEST_TIMEOUT')
}

/**
 * Returns the status of Fastify's answer to a parser error, which bypasses the response; `undefined` after the client's
 * FIN, when nobody reads an answer.
 */
function answeredStatus(code: string): number | undefined {
  if (code === 'HPE_INVALID_EOF_STATE') return undefined
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 408
  return code === 'HPE_HEADER_OVERFLOW' ? 431 : 400
}
