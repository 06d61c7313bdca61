/**
 * Every request of a Fastify application, exactly once: when its response is closed, whatever closed it. Only `close`
 * sees all endings (`onResponse` misses every client that hangs up), and one shared listener without a closure is also
 * the cheapest that Node.js has.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import { performance } from 'node:perf_hooks'
import type { Duplex } from 'node:stream'
import type { CounterSeries } from '@data20/metrics-core'
import { AlreadyRegisteredError, ensureMetrics } from '@data20/metrics-core/plugin'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { createConnections } from './connections.ts'
import { brokenEnding, isClosed, isComplete, isParserError, sentStatus, statusOfParserError } from './ending.ts'
import { addFirstOnRequestHook, createRouteContext, isRoot, secondaryServers } from './internals.ts'
import { type MeasuredResponse, Measurement, type MeasurementMark, markOf } from './measurement.ts'
import { definitions, PARSER_ERROR_CODES } from './metrics.ts'
import type { CustomLabel, HttpMetricsOptions, RouteMetricsOptions } from './options.ts'
import { createRoutes } from './routes.ts'
import { observeServer } from './server.ts'
import { countBodies } from './sizes.ts'
import { watchStream } from './streams.ts'
import { isUpgrade, watchStatus } from './upgrade.ts'

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
  const { sizes = false, labels = {} } = options
  const hasCustomLabels = Object.keys(labels).length > 0

  const metrics = await ensureMetrics(fastify)
  const kMeasurement: MeasurementMark = markOf(metrics)
  const routes = createRoutes(metrics, fastify, options)
  const routeContext = createRouteContext()
  const connections = createConnections(kMeasurement, (response) => onClose.call(response))
  const parserErrors = metrics.counter(definitions.parserErrors)
  const parserErrorSeries = new Map<string, CounterSeries>(
    PARSER_ERROR_CODES.map((code) => [code, parserErrors.reserve({ code })]),
  )

  fastify.decorate('httpMetrics', true)
  fastify.addHook('onRoute', routes.add)
  await addFirstOnRequestHook(fastify, onRequest)
  fastify.addHook('onReady', async () => routes.initialize())
  if (isRoot(fastify)) {
    const observer = { onStart: onRequestStart, onRequest: measurementOf, onClientError }
    const stop = observeServer(fastify.server, observer)
    // Called when the server is closed.
    fastify.addHook('onClose', async () => stop())
    fastify.addHook('onListen', async () => {
      for (const server of secondaryServers(fastify)) observeServer(server, observer)
    })
  }

  function onRequestStart(response: MeasuredResponse, socket: Duplex): void {
    begin(response)
    connections.add(response, socket)
  }

  function begin(response: MeasuredResponse): Measurement {
    const measurement = new Measurement()
    response[kMeasurement] = measurement
    response.on('close', onClose)
    if ('stream' in response) awaitStream(response, measurement)
    return measurement
  }

  function awaitStream(response: MeasuredResponse & Http2ServerResponse, measurement: Measurement): void {
    watchStream(response.stream, (millisecondsAgo) => {
      measurement.start += millisecondsAgo
      onClose.call(response)
    })
  }

  function onRequest(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    assign(request, reply.raw)
    done()
  }

  /** Gives a request to its route. Apart from the hook, which is then small enough to become part of Fastify's code. */
  function assign(request: FastifyRequest, response: MeasuredResponse): void {
    const measurement = measurementOf(response)
    // A handler may give a request to `app.routing` once more: it remains one, of its first route.
    if (measurement.route !== undefined) return
    const route = routes.find(routeContext(request), request.raw.method as string)
    measurement.route = route
    if (route === null) return
    route.inFlight.inc()
    if (hasCustomLabels) measurement.request = request
    if (sizes) measurement.bodies = countBodies(request.raw, response)
  }

  function measurementOf(response: MeasuredResponse): Measurement {
    return response[kMeasurement] ?? beginUnannounced(response)
  }

  /** By HTTP/2, under inject(), in an encapsulated part, and inside another application, nothing has announced the request. */
  function beginUnannounced(response: MeasuredResponse): Measurement {
    const measurement = begin(response)
    if (isClosed(response)) {
      // Over before an application inside another got it.
      measurement.isUnsent = !response.headersSent
      process.nextTick(() => onClose.call(response))
    } else if (isUpgrade(response.req as IncomingMessage)) {
      watchStatus(response.req.socket, (status) => {
        measurement.answered = status
      })
    } else if (response.socket === null && !('stream' in response)) connections.await(response, response.req.socket)
    return measurement
  }

  function onClose(this: MeasuredResponse): void {
    const measurement = this[kMeasurement]!
    const known = measurement.route
    if (known === null) return
    const route = known ?? routes.unmatched((this as { req: { method?: string } }).req.method)
    if (route === null) return
    if (known !== undefined) known.inFlight.dec()
    // Counted: whatever closes it a second time finds nothing to do.
    measurement.route = null

    const seconds = (performance.now() - measurement.start) / 1000
    let status = sentStatus(this)
    if (!isComplete(this)) {
      const ending = brokenEnding(this, measurement)
      status = ending.status
      if (ending.phase !== undefined) route.aborted[ending.phase].inc()
    }
    const series = hasCustomLabels ? route.withLabels(measurement.request) : route.requests
    series.count(status)
    series.duration.observe(seconds)
    measurement.bodies?.observe(route)
    // A connection that idles keeps its latest response, and would keep all that the application knows of the request.
    measurement.request = undefined
  }

  function onClientError({ code }: { code?: unknown }, socket: Duplex): void {
    // All that breaks a connection comes here, the application's own destroy(error) too.
    if (!isParserError(code) || socket.destroyed) return
    // The connection ends with Fastify's answer, which the client takes for that to the first request without one.
    const measurement = connections.unanswered(socket)
    if (measurement !== undefined) measurement.answered = statusOfParserError(code)
    // Bytes of a body are part of a request, and it is counted.
    if (connections.isReceiving(socket)) return
    const series = parserErrorSeries.get(code) ?? parserErrorSeries.get('other')
    series?.inc()
  }
}

const plugin: FastifyPluginAsync<HttpMetricsOptions> = fp(httpMetrics, { name: '@data20/http-metrics', fastify: '5.x' })

export type { CustomLabel, HttpMetricsOptions, RouteMetricsOptions }
export { plugin as default, plugin as httpMetrics }
