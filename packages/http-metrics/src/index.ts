/**
 * Counts every request of a Fastify application exactly once: at the `close` event of its response. Only `close` sees
 * all endings (`onResponse` misses every client that hangs up), and one shared listener without a closure is the
 * cheapest way of Node.js to learn of it.
 * See docs/decisions/0006-a-request-is-counted-at-close.md.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { AlreadyRegisteredError, ensureMetrics } from '@data20/metrics-core/plugin'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { adapter } from './adapter.ts'
import { createConnections } from './connections.ts'
import { http1 } from './http1.ts'
import { http2 } from './http2.ts'
import { inject } from './inject.ts'
import { createInstruments } from './instruments.ts'
import {
  addFirstOnRequestHook,
  createRouteContext,
  hasServerFactory,
  isInjected,
  isUpgrade,
  rootOf,
} from './internals.ts'
import { captureContexts, LabelSource } from './labels.ts'
import { isClaimedByAnother, type MeasuredResponse, Measurement, type MeasurementMark, markOf } from './measurement.ts'
import { createNotices } from './notices.ts'
import { type CustomLabel, type HttpMetricsOptions, type RouteMetricsOptions, resolveOptions } from './options.ts'
import { createParserErrorListener } from './parser-errors.ts'
import type { Protocol, RawResponse } from './protocol.ts'
import { observeStart } from './response-start.ts'
import { createRoutes, LEFT_OUT, OUTSIDE } from './routes.ts'
import { observeServers } from './server.ts'
import { countBodies } from './sizes.ts'
import { streamsOf } from './streams.ts'
import { createUnclaimed } from './unclaimed.ts'
import { upgrade } from './upgrade.ts'

declare module 'fastify' {
  interface FastifyInstance {
    httpMetrics: true
  }
}

async function httpMetrics(fastify: FastifyInstance, options: HttpMetricsOptions): Promise<void> {
  // A second registration would count everything twice.
  if (fastify.httpMetrics === true) {
    if (Object.keys(options).length > 0) throw new AlreadyRegisteredError('http-metrics')
    return
  }
  const resolved = resolveOptions(options)
  const { sizes, responseStart } = resolved
  const hasCustomLabels = Object.keys(resolved.labels).length > 0

  const metrics = await ensureMetrics(fastify)
  const instruments = createInstruments(metrics, resolved)
  const notices = createNotices(fastify)
  const routes = createRoutes(fastify, instruments, resolved, {
    onError: (error) => metrics.callbackError('http-metrics', error),
    onOutside: notices.outside,
    onTooMany: notices.tooMany,
  })
  const routeContext = createRouteContext()
  const kMeasurement: MeasurementMark = markOf(metrics)
  const connections = createConnections(kMeasurement, count)
  const streams = streamsOf(metrics)
  const ender = { end, endWithSocket: connections.endWithSocket, follow: connections.follow }
  const isAnsweredUnseen = createUnclaimed(fastify)
  const isPart = rootOf(fastify) !== fastify

  fastify.decorate('httpMetrics', true)
  fastify.addHook('onRoute', routes.add)
  // From an encapsulated part too, the application's requests without a route are seen, and the server.
  await addFirstOnRequestHook(fastify, onRequest)
  if (hasCustomLabels) captureContexts(fastify, labelsOf)
  streams.addConnections(connections.busyResponses)
  fastify.addHook('onClose', async () => streams.stop())
  fastify.addHook('onReady', async () => routes.initialize())
  observeServers(fastify, {
    onStart,
    onRequest: hasServerFactory(fastify) ? beginForeign : measurementOf,
    onClientError: createParserErrorListener(instruments.parserErrors, connections),
  })

  // The life of a request: it begins, is assigned to its route, and is counted.

  function onStart(response: ServerResponse, socket: Duplex): void {
    begin(response, http1)
    connections.add(response, socket)
  }

  function begin(response: MeasuredResponse, protocol: Protocol): Measurement {
    const measurement = new Measurement(protocol)
    response[kMeasurement] = measurement
    response.on('close', onClose)
    return measurement
  }

  function measurementOf(response: MeasuredResponse): Measurement {
    return response[kMeasurement] ?? beginUnannounced(response)
  }

  /** Begins a request of a server that may have other applications behind it. */
  function beginForeign(response: MeasuredResponse): void {
    measurementOf(response).mayBeForeign = true
  }

  /** Begins a request of HTTP/2, inject(), an upgrade, an encapsulated part, or inside another application. */
  function beginUnannounced(response: MeasuredResponse): Measurement {
    const protocol = protocolOf(response)
    const measurement = begin(response, protocol)
    if (protocol.isClosed(response)) {
      // It ended before an inner application received it.
      measurement.isUnsent = !response.headersSent
      process.nextTick(count, response)
    } else {
      protocol.watch(response, measurement, ender)
      if (protocol !== http1) streams.add(response)
    }
    return measurement
  }

  function onRequest(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    assign(request, reply.raw)
    done()
  }

  /** Apart from the hook, which is then small enough for V8 to inline it into Fastify's code. */
  function assign(request: FastifyRequest, response: MeasuredResponse): void {
    const measurement = measurementOf(response)
    if (measurement.state !== 'unassigned') {
      // A request that a handler gives to `app.routing` again stays one request, of its first route.
      if (measurement.state !== 'unclaimed') return
      // It ended before it was given to this application.
      process.nextTick(count, response)
    }
    const context = routeContext(request)
    const route = routes.find(context, request.raw.method as string)
    if (route === OUTSIDE) {
      measurement.mayBeForeign = true
      return
    }
    // Other parts may count what has no route, in registries of their own.
    if (isPart && context.config?.url === undefined && isClaimedByAnother(response, measurement)) return
    measurement.assign(route)
    if (route === LEFT_OUT) return
    if (hasCustomLabels) measurement.labels = new LabelSource(request)
    if (sizes) measurement.bodies = countBodies(request.raw, response)
    if (responseStart) observeStart(response, measurement.startMs, route.responseStart!)
  }

  function labelsOf(response: MeasuredResponse): LabelSource | undefined {
    return response[kMeasurement]?.labels
  }

  function onClose(this: MeasuredResponse): void {
    count(this)
  }

  function end(response: MeasuredResponse, millisecondsAgo: number): void {
    response[kMeasurement]!.startMs += millisecondsAgo
    count(response)
  }

  function count(response: MeasuredResponse): void {
    const measurement = response[kMeasurement]!
    if (measurement.state === 'unassigned') claim(response, measurement)
    measurement.count(response)
    if (measurement.protocol !== http1) streams.delete(response)
  }

  /** Decides whether a request that no hook has seen is one of this application. */
  function claim(response: MeasuredResponse, measurement: Measurement): void {
    const isForeign = measurement.mayBeForeign && !isAnsweredUnseen(response)
    if (isForeign || isClaimedByAnother(response, measurement)) measurement.state = 'unclaimed'
    else measurement.assign(routes.unmatched(response.req?.method))
  }
}

function protocolOf(response: RawResponse): Protocol {
  if ('stream' in response) return http2
  if (isInjected(response)) return inject
  if (!isConnection(response.req?.socket)) return adapter
  return isUpgrade(response.req) ? upgrade : http1
}

/**
 * Returns whether a socket is a connection, open or closed. Adapters have none, a plain object, or one never connected.
 */
function isConnection(socket: Duplex | null | undefined): boolean {
  return socket instanceof Duplex && ((socket as Socket).pending !== true || socket.destroyed)
}

const plugin: FastifyPluginAsync<HttpMetricsOptions> = fp(httpMetrics, { name: '@data20/http-metrics', fastify: '5.x' })

export type { CustomLabel, HttpMetricsOptions, RouteMetricsOptions }
export { plugin as default, plugin as httpMetrics }
