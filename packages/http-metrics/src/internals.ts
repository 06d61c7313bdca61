/**
 * What is read of the inside of Fastify and Node.js, each with what happens where a later version has it no more.
 *
 * @module
 */
import type { Server, ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyRequest, onRequestHookHandler } from 'fastify'

type Internals = Record<symbol, unknown>

/** Whether an instance is the application itself, and not an encapsulated part of it. */
export function isRoot(fastify: FastifyInstance): boolean {
  return Object.getPrototypeOf(fastify) === Object.prototype
}

/**
 * Adds an `onRequest` hook before those of all plugins registered earlier: one of them may reply at once (401, 429), and
 * then no later hook runs. Fastify itself adds the hook to children that exist already. Without the symbol the hook
 * stands in the order of registration.
 */
export async function addFirstOnRequestHook(fastify: FastifyInstance, hook: onRequestHookHandler): Promise<void> {
  fastify.addHook('onRequest', hook)
  // addHook takes effect after the plugins that are being loaded.
  await fastify.after()
  const hooksSymbol = findSymbol(fastify, 'fastify.hooks')
  const childrenSymbol = findSymbol(fastify, 'fastify.children')
  if (hooksSymbol === undefined || childrenSymbol === undefined) return
  const instances = [fastify]
  for (const instance of instances) {
    const { onRequest } = (instance as unknown as Internals)[hooksSymbol] as { onRequest: onRequestHookHandler[] }
    onRequest.unshift(...onRequest.splice(onRequest.indexOf(hook), 1))
    instances.push(...((instance as unknown as Internals)[childrenSymbol] as FastifyInstance[]))
  }
}

/** The servers beside `fastify.server`: listening on `localhost`, Fastify has one more for each further address. */
export function secondaryServers(fastify: FastifyInstance): Server[] {
  const symbol = findSymbol(fastify, 'fastify.serverBindings')
  return symbol === undefined ? [] : ((fastify as unknown as Internals)[symbol] as Server[])
}

/** The channel on which Node.js says that it has read a request's headers, before it looks at them. */
export const REQUEST_START = 'http.server.request.start'

export interface RequestStart {
  readonly response: ServerResponse
  readonly socket: Duplex
  readonly server: unknown
}

/** The first response of an HTTP/1 connection that is not finished. Without Node's mark there is none. */
export function busyResponse(socket: Duplex): ServerResponse | undefined {
  return (socket as { _httpMessage?: ServerResponse | null })._httpMessage ?? undefined
}

/** What Node.js knows of headers: whether any code has sent them, and what no connection has taken yet. */
type SentHeaders = { _headerSent?: boolean; outputData?: ReadonlyArray<{ data: unknown }> }

/**
 * Whether a connection has taken the headers. `headersSent`, all that is left without Node's fields, is true once they are
 * put together, and of a response that waits for its connection.
 */
export function areHeadersSent(response: ServerResponse | Http2ServerResponse): boolean {
  const { _headerSent = response.headersSent, outputData } = response as SentHeaders
  const first = outputData?.[0]?.data
  return _headerSent && !(typeof first === 'string' && first.startsWith('HTTP/'))
}

/** The status in the headers that were put together; without Node's field, or before, `statusCode`. */
export function headerStatus(response: ServerResponse): number {
  const { _header } = response as { _header?: string | null }
  return typeof _header === 'string' ? Number(_header.slice(9, 12)) : response.statusCode
}

/** What identifies the route of a request, one property read; `request.routeOptions` builds an object of twelve at each access. */
export type RouteContext = { config?: { url?: string; method?: string | string[]; metrics?: unknown } }

/** Finds the context of a request's route. Each copy of Fastify that a process has loaded has a symbol of its own for it. */
export function createRouteContext(): (request: FastifyRequest) => RouteContext {
  let contextSymbol: symbol | undefined
  return (request) => {
    contextSymbol ??= findSymbol(request, 'fastify.context')
    return contextSymbol === undefined
      ? { config: request.routeOptions.config as RouteContext['config'] & object }
      : ((request as unknown as Internals)[contextSymbol] as RouteContext)
  }
}

function findSymbol(object: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description)
}
