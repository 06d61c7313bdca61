/**
 * What comes to a server, before anybody else sees it.
 *
 * @module
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { REQUEST_START, type RequestStart } from './internals.ts'
import type { MeasuredResponse } from './measurement.ts'

export interface ServerObserver {
  /** A request of HTTP/1.1 is there; nobody has looked at it. */
  onStart(response: MeasuredResponse, socket: Duplex): void
  /** A request goes to the application, and to `onStart` unless it is one of HTTP/2. */
  onRequest(response: MeasuredResponse): void
  /** A connection is broken. */
  onClientError(error: { code?: unknown }, socket: Duplex): void
}

/**
 * Observes all that comes to a server, ahead of any listener: Node.js answers some requests itself (no Host, too many on a
 * connection), and Fastify some without a hook (a malformed URL, one during close()).
 *
 * The listeners live as long as the server, so that what arrives while it closes counts too. Returns what ends them after
 * that: a server that has never listened may not say that it closes.
 */
export function observeServer(server: FastifyInstance['server'], observer: ServerObserver): () => void {
  let isObserved = false
  // With its first connection: a server may be given them without listening.
  server.prependListener('connection', () => {
    if (isObserved) return
    isObserved = true
    subscribe(REQUEST_START, onStart)
  })
  server.on('close', stop)
  // HTTP/2 has no such channel, and a server may be given requests without connections.
  server.prependListener('request', (_request, response) => observer.onRequest(response))
  // Ahead of Fastify's, which destroys the socket.
  server.prependListener('clientError', observer.onClientError)

  return stop

  function stop(): void {
    isObserved = false
    unsubscribe(REQUEST_START, onStart)
  }

  function onStart(message: unknown): void {
    const { response, socket, server: receiver } = message as RequestStart
    if (receiver === server) observer.onStart(response, socket)
  }
}
