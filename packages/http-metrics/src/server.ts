/**
 * Observes what reaches the servers of an application, ahead of every other listener.
 *
 * @module
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { secondaryServers } from './internals.ts'
import type { RawResponse } from './protocol.ts'

export interface ServerObserver {
  /** A request of HTTP/1.1 has arrived. No other code has seen it. */
  onStart(response: ServerResponse, socket: Duplex): void
  /** A request goes to the application. Those of HTTP/1.1 have been given to `onStart` before. */
  onRequest(response: RawResponse): void
  /** A connection broke. */
  onClientError(error: { code?: unknown }, socket: Duplex): void
}

/** Observes `fastify.server`, and further servers once they listen, until they close. */
export function observeServers(fastify: FastifyInstance, observer: ServerObserver): void {
  const stop = observeServer(fastify.server, observer)
  // Runs after the server has closed.
  fastify.addHook('onClose', async () => stop())
  fastify.addHook('onListen', async () => {
    for (const server of secondaryServers(fastify)) observeServer(server, observer)
  })
}

/** The documented channel of Node.js for requests of HTTP/1.1 whose headers have been read. */
const REQUEST_START = 'http.server.request.start'

interface RequestStart {
  readonly response: ServerResponse
  readonly socket: Duplex
  readonly server: unknown
}

/**
 * Observes a server ahead of any listener: Node.js answers some requests itself (no Host, too many on a connection),
 * and Fastify answers some without a hook (a malformed URL, a request during close()).
 *
 * The listeners live as long as the server, so requests that arrive while it closes are counted. The function returned
 * ends the subscription: a server that has never listened may not emit `close`.
 */
function observeServer(server: FastifyInstance['server'], observer: ServerObserver): () => void {
  const { observers, stop } = observed.get(server) ?? observeOnce(server)
  observers.push(observer)
  return () => {
    observers.splice(observers.indexOf(observer), 1)
    if (observers.length === 0) stop()
  }
}

interface ObservedServer {
  /** In the order of registration. */
  readonly observers: ServerObserver[]
  /** Ends the subscription until the next connection. */
  stop(): void
}

/** Applications may share a server (`serverFactory`). */
const observed = new WeakMap<object, ObservedServer>()

function observeOnce(server: FastifyInstance['server']): ObservedServer {
  const observers: ServerObserver[] = []
  let isSubscribed = false
  // Subscribes at the first connection: a server may be given connections without listening.
  prepend(server, 'connection', () => {
    if (isSubscribed) return
    isSubscribed = true
    subscribe(REQUEST_START, onStart)
  })
  server.on('close', stop)
  // HTTP/2 has no such channel, and a server may be given requests without connections.
  prepend(server, 'request', (_request: unknown, response: RawResponse) => {
    for (const observer of observers) observer.onRequest(response)
  })
  // Runs ahead of Fastify's listener, which destroys the socket.
  prepend(server, 'clientError', (error: { code?: unknown }, socket: Duplex) => {
    for (const observer of observers) observer.onClientError(error, socket)
  })

  const made = { observers, stop }
  observed.set(server, made)
  return made

  function stop(): void {
    isSubscribed = false
    unsubscribe(REQUEST_START, onStart)
  }

  function onStart(message: unknown): void {
    const { response, socket, server: receiver } = message as RequestStart
    if (receiver !== server) return
    for (const observer of observers) observer.onStart(response, socket)
  }
}

/** Adds a listener ahead of all others. Servers of a `serverFactory` may be emitters that can only add one behind. */
function prepend<Args extends unknown[]>(
  server: FastifyInstance['server'],
  event: string,
  listener: (...args: Args) => void,
): void {
  const emitter = server as EventEmitter
  if (typeof emitter.prependListener === 'function') emitter.prependListener(event, listener as () => void)
  else emitter.on(event, listener as () => void)
}
