/**
 * Every request of a Fastify application, exactly once: when its response is closed, whatever closed it. Only `close`
 * sees all endings (`onResponse` misses every client that hangs up), and one shared listener without a closure is also
 * the cheapest that Node.js has.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import { performance } from 'node:perf_hooks'
import type { Duplex } from 'node:stream'
import { type CounterSeries, ensureMetrics } from '@data20/metrics-core'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import {
  CLIENT_CLOSED_REQUEST,
  hasSentHeaders,
  isComplete,
  phaseOf,
  type RawResponse,
  statusOfParserError,
} from './ending.ts'
import { addFirstOnRequestHook, isRoot, routeContext, secondaryServers } from './internals.ts'
import { httpMetricDefinitions, PARSER_ERROR_CODES } from './metrics.ts'
import type { CustomLabel, HttpMetricsOptions, RouteMetricsOptions } from './options.ts'
import { createRoutes, type RouteSeries } from './routes.ts'
import { type CountedBodies, countBodies } from './sizes.ts'

declare module 'fastify' {
  interface FastifyInstance {
    httpMetrics: true
  }
}

/** What is known of a request until its response is closed. */
class Measurement {
  /** Milliseconds of `performance.now()` at which the request was there. */
  readonly start = performance.now()
  /** The series of its route: `undefined` until a hook knows it, `null` where it is left out, or counted already. */
  route: RouteSeries | null | undefined = undefined
  /** For custom labels. */
  request: FastifyRequest | undefined = undefined
  /** For sizes. */
  bodies: CountedBodies | undefined = undefined
  /** The status of a request whose body the parser refused. */
  refused: number | undefined = undefined
}

async function httpMetrics(fastify: FastifyInstance, options: HttpMetricsOptions): Promise<void> {
  // A second registration would count everything twice.
  if (fastify.hasDecorator('httpMetrics')) return
  const { sizes = false, labels = {} } = options
  const hasCustomLabels = Object.keys(labels).length > 0

  // Marks of this registration only: a request may pass through an application inside of another, both of them measured.
  /** On a response. */
  const kMeasurement: unique symbol = Symbol('data20.http.measurement')
  /** On a socket, the response to its latest request. */
  const kLatest: unique symbol = Symbol('data20.http.latest')
  /** On a socket, the responses that wait for an earlier one to end. */
  const kWaiting: unique symbol = Symbol('data20.http.waiting')
  type MeasuredResponse = RawResponse & { [kMeasurement]?: Measurement }
  type MeasuredSocket = Duplex & { [kLatest]?: MeasuredResponse; [kWaiting]?: Set<MeasuredResponse> }

  const metrics = await ensureMetrics(fastify)
  const routes = createRoutes(metrics, fastify, options)
  const parserErrors = metrics.counter(httpMetricDefinitions.parserErrors)
  const parserErrorSeries = new Map<string, CounterSeries>(
    PARSER_ERROR_CODES.map((code) => [code, parserErrors.reserve({ code })]),
  )

  fastify.decorate('httpMetrics', true)
  fastify.addHook('onRoute', routes.add)
  await addFirstOnRequestHook(fastify, onRequest)
  fastify.addHook('onReady', async () => routes.initialize())
  if (isRoot(fastify)) {
    // The listeners live as long as the server, which ends with the application: what arrives during close() counts too.
    observeServer(fastify.server)
    fastify.addHook('onListen', async () => secondaryServers(fastify).forEach(observeServer))
  }

  function observeServer(server: FastifyInstance['server']): void {
    // Ahead of Fastify's own listener: it answers some requests (a malformed URL, one during close()) without any hook.
    server.prependListener('request', (request, response) => {
      begin(request, response)
      // HTTP/2's sockets are shared, and guarded against such marks; its parser errors end sessions.
      if (request.httpVersionMajor === 1) (request.socket as MeasuredSocket)[kLatest] = response
    })
    server.on('clientError', onClientError)
  }

  function begin(request: IncomingMessage, response: MeasuredResponse): Measurement {
    const measurement = new Measurement()
    response[kMeasurement] = measurement
    response.on('close', onClose)
    if (request.httpVersionMajor === 1 && response.socket === null) awaitSocket(response, request.socket)
    return measurement
  }

  /** Node.js closes the response that a socket is busy with, and forgets those pipelined behind it: they end with the socket. */
  function awaitSocket(response: MeasuredResponse, socket: MeasuredSocket): void {
    let waiting = socket[kWaiting]
    if (waiting === undefined) {
      waiting = new Set()
      socket[kWaiting] = waiting
      socket.on('close', () => {
        for (const one of socket[kWaiting] ?? []) onClose.call(one)
      })
    }
    waiting.add(response)
    response.on('close', () => socket[kWaiting]?.delete(response))
  }

  function onRequest(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    assign(request, reply.raw)
    done()
  }

  /** Gives a request to its route. Apart from the hook, which is then small enough to become part of Fastify's code. */
  function assign(request: FastifyRequest, response: MeasuredResponse): void {
    // Under inject(), or in an encapsulated part, no server has announced the request.
    const measurement = response[kMeasurement] ?? begin(request.raw, response)
    // A handler may give a request to `app.routing` once more: it remains one, of its first route.
    if (measurement.route !== undefined) return
    const route = routes.find(routeContext(request), request.raw.method as string)
    measurement.route = route
    if (route === null) return
    route.inFlight.inc()
    if (hasCustomLabels) measurement.request = request
    if (sizes) measurement.bodies = countBodies(request.raw, response)
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
    const { refused } = measurement
    // Node.js calls a response finished that was written to a socket destroyed already.
    const complete = refused === undefined && isComplete(this)
    const status = refused ?? (complete || hasSentHeaders(this) ? this.statusCode : CLIENT_CLOSED_REQUEST)
    const series = hasCustomLabels ? route.withLabels(measurement.request) : route.requests
    series.count(status)
    series.duration.observe(seconds)
    if (!complete && refused === undefined) route.aborted[phaseOf(this)].inc()
    measurement.bodies?.observe(route)
  }

  function onClientError({ code = 'other' }: NodeJS.ErrnoException, socket: MeasuredSocket): void {
    // The connection broke: no bytes that the parser refused.
    if (code === 'ECONNRESET' || code === 'EPIPE') return
    const latest = socket[kLatest]
    if (latest !== undefined && !latest.destroyed && !latest.headersSent) {
      // The connection ends with the parser's own answer, which the client takes for the answer to this request.
      latest[kMeasurement]!.refused = statusOfParserError(code)
    }
    // Bytes of a body are part of a request, and it is counted.
    if (latest !== undefined && !latest.req.complete) return
    const series = parserErrorSeries.get(code) ?? parserErrorSeries.get('other')
    series?.inc()
  }
}

const plugin: FastifyPluginAsync<HttpMetricsOptions> = fp(httpMetrics, { name: '@data20/http-metrics', fastify: '5.x' })

export type { CustomLabel, HttpMetricsOptions, RouteMetricsOptions }
export { plugin as default, plugin as httpMetrics }
