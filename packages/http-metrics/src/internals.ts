/**
 * Reads what Fastify and Node.js do not document. No other file of this package does. There are fifteen reads, each
 * with a fallback for a version that no longer has what is read:
 *
 * | Read of | Function | Without it |
 * |---|---|---|
 * | Fastify: prototype of an instance | {@link rootOf} | counts requests of the plugin's part only |
 * | Fastify: symbol `options` | {@link hasServerFactory} | counts requests that others answer as unmatched |
 * | Fastify: `server` of a route's context | {@link isWithin} | counts every route |
 * | Fastify: symbols `hooks` and `children` | {@link addFirstOnRequestHook} | order of registration |
 * | Fastify: symbol `serverBindings` | {@link secondaryServers} | counts routed requests only |
 * | Fastify: symbol `context` | {@link createRouteContext} | `request.routeOptions`, which is slower |
 * | light-my-request: `isLightMyRequest` | {@link isInjected} | judged as HTTP/1.1 |
 * | Node.js: `socket._httpMessage` | {@link busyResponse} | pipelined requests may stay in flight |
 * | Node.js: `response._headerSent`, `outputData` | {@link areHeadersSent} | `headersSent` |
 * | Node.js: `response._header` | {@link headerStatus} | `statusCode` |
 * | Node.js: `response._header` | {@link contentTypeOf} | `getHeader()`, which knows no header of `writeHead()` |
 * | Node.js: `response.chunkedEncoding` | {@link hasUnknownLength} | event streams count as other requests |
 * | Node.js: `response.closed` | {@link isResponseClosed} | `destroyed` |
 * | Node.js: `response.errored` | {@link responseError} | the error of the socket decides |
 * | Node.js: `request.upgrade` | {@link isUpgrade} | judged as HTTP/1.1 |
 * See docs/decisions/0007-internals-of-fastify-and-nodejs.md.
 *
 * @module
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyRequest, onRequestHookHandler } from 'fastify'

type Internals = Record<symbol, unknown>

/** Returns the application that an instance is an encapsulated part of, or is itself. */
export function rootOf(fastify: FastifyInstance): FastifyInstance {
  const parent: unknown = Object.getPrototypeOf(fastify)
  return parent === Object.prototype || parent === null ? fastify : rootOf(parent as FastifyInstance)
}

/** Returns whether a route was registered in an instance or in a part of it. */
export function isWithin(fastify: FastifyInstance, { server }: RouteContext): boolean {
  return server === undefined || server === fastify || Object.prototype.isPrototypeOf.call(fastify, server)
}

/**
 * Returns whether the application brought its server by `serverFactory`. Such a server may have other applications
 * behind it.
 */
export function hasServerFactory(fastify: FastifyInstance): boolean {
  const root = rootOf(fastify)
  const symbol = findSymbol(root, 'fastify.options')
  const options = symbol && (root as unknown as Internals)[symbol]
  return (options as { serverFactory?: unknown } | undefined)?.serverFactory !== undefined
}

/**
 * Adds an `onRequest` hook to the application, before those of all plugins registered earlier: one of them may reply at
 * once (401, 429), and Fastify then skips the hooks behind it. Fastify itself adds the hook to child instances that
 * exist already.
 */
export async function addFirstOnRequestHook(fastify: FastifyInstance, hook: onRequestHookHandler): Promise<void> {
  const root = rootOf(fastify)
  root.addHook('onRequest', hook)
  // addHook takes effect after the plugins that are loading.
  await fastify.after()
  const hooksSymbol = findSymbol(root, 'fastify.hooks')
  const childrenSymbol = findSymbol(root, 'fastify.children')
  if (hooksSymbol === undefined || childrenSymbol === undefined) return
  const instances = [root]
  for (const instance of instances) {
    const { onRequest } = (instance as unknown as Internals)[hooksSymbol] as { onRequest: onRequestHookHandler[] }
    const position = onRequest.indexOf(hook)
    if (position > 0) onRequest.unshift(...onRequest.splice(position, 1))
    instances.push(...((instance as unknown as Internals)[childrenSymbol] as FastifyInstance[]))
  }
}

/** Returns the servers beside `fastify.server`: listening on `localhost`, Fastify has one for each further address. */
export function secondaryServers(fastify: FastifyInstance): Server[] {
  const root = rootOf(fastify)
  const symbol = findSymbol(root, 'fastify.serverBindings')
  return symbol === undefined ? [] : ((root as unknown as Internals)[symbol] as Server[])
}

/** The context of a route: it identifies the route, and one property read finds it. */
export type RouteContext = {
  config?: { url?: string; method?: string | string[]; metrics?: unknown }
  /** The instance in which the route was registered. */
  server?: object
}

/**
 * Returns the function that finds the context of a request's route. Each copy of Fastify in a process has a symbol of
 * its own for it. `request.routeOptions` builds an object of twelve properties at each access.
 */
export function createRouteContext(): (request: FastifyRequest) => RouteContext {
  let contextSymbol: symbol | undefined
  return (request) => {
    contextSymbol ??= findSymbol(request, 'fastify.context')
    return contextSymbol === undefined
      ? { config: request.routeOptions.config as RouteContext['config'] & object }
      : ((request as unknown as Internals)[contextSymbol] as RouteContext)
  }
}

/** Returns whether a response was made by `inject()`. */
export function isInjected(response: object): boolean {
  return (response as { isLightMyRequest?: boolean }).isLightMyRequest === true
}

/** Returns the first response of an HTTP/1.1 connection that is not finished. */
export function busyResponse(socket: Duplex): ServerResponse | undefined {
  return (socket as { _httpMessage?: ServerResponse | null })._httpMessage ?? undefined
}

/** Whether any code has sent the headers, and the data that no connection has taken yet. */
type SentHeaders = { _headerSent?: boolean; outputData?: ReadonlyArray<{ data: unknown }> }

/**
 * Returns whether a connection has taken the headers of a response. `headersSent` is true as soon as the headers are
 * built, even while the response waits for its connection.
 */
export function areHeadersSent(response: ServerResponse): boolean {
  const { _headerSent = response.headersSent, outputData } = response as SentHeaders
  const first = outputData?.[0]?.data
  return _headerSent && !(typeof first === 'string' && first.startsWith('HTTP/'))
}

/** Returns the status in the headers that were built; `statusCode` before that. */
export function headerStatus(response: ServerResponse): number {
  const { _header } = response as { _header?: string | null }
  return typeof _header === 'string' ? Number(_header.slice(9, 12)) : response.statusCode
}

/** Returns the Content-Type that a response was sent with. */
export function contentTypeOf(response: ServerResponse): string | undefined {
  const { _header } = response as { _header?: string | null }
  if (typeof _header !== 'string') return response.headersSent ? String(response.getHeader('content-type')) : undefined
  return /\r\ncontent-type:([^\r]*)/i.exec(_header)?.[1]
}

/** Returns whether a response has no Content-Length: its end is that of its chunks or of its connection. */
export function hasUnknownLength(response: ServerResponse): boolean {
  return response.chunkedEncoding || !response.shouldKeepAlive
}

/** Returns whether a response has been closed, so that its `close` event will not come. */
export function isResponseClosed(response: ServerResponse): boolean {
  return (response as { closed?: boolean }).closed ?? response.destroyed
}

/** Returns the error that a response was destroyed with. */
export function responseError(response: ServerResponse): Error | undefined {
  return (response as { errored?: Error | null }).errored ?? undefined
}

/** Returns whether a request came by the server's `upgrade` event. */
export function isUpgrade(request: IncomingMessage | undefined): boolean {
  return (request as { upgrade?: boolean } | undefined)?.upgrade === true
}

function findSymbol(object: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description)
}
