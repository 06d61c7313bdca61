/**
 * Every request of a Fastify application, exactly once: when its response is closed, whatever closed it. Only `close`
 * sees all endings (`onResponse` misses every client that hangs up), and one shared listener without a closure is also
 * the cheapest that Node.js has.
 *
 * @module
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import { performance } from 'node:perf_hooks'
import type { Duplex } from 'node:stream'
import { type CounterSeries, ensureMetrics, type Metrics } from '@data20/metrics-core'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { brokenEnding, isClosed, isComplete, isParserError, type RawResponse, statusOfParserError } from './ending.ts'
import {
  addFirstOnRequestHook,
  areHeadersSent,
  busyResponse,
  isRoot,
  REQUEST_START,
  type RequestStart,
  routeContext,
  secondaryServers,
} from './internals.ts'
import { httpMetricDefinitions, PARSER_ERROR_CODES } from './metrics.ts'
import type { CustomLabel, HttpMetricsOptions, RouteMetricsOptions } from './options.ts'
import { createRoutes, type RouteSeries } from './routes.ts'
import { type CountedBodies, countBodies } from './sizes.ts'
import { isUpgrade, watchStatus } from './upgrade.ts'

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
  /** The status of what was answered past the response: by Fastify to what the parser refused, by who took an upgrade. */
  answered: number | undefined = undefined
  /** Whether the client's end of the connection came before any header: what is written since reaches nobody. */
  isUnsent = false
}

declare const kMeasurementType: unique symbol
type MeasurementMark = typeof kMeasurementType
type MeasuredResponse = RawResponse & { [kMeasurementType]?: Measurement }

/**
 * The mark on a response that holds its {@link Measurement}: one for each registry. Two registrations with the same
 * registry, in the application and in a part of it, count a request once; an application inside of another has its own.
 */
const marks = new WeakMap<Metrics, MeasurementMark>()

async function httpMetrics(fastify: FastifyInstance, options: HttpMetricsOptions): Promise<void> {
  // A second registration would count everything twice.
  if (fastify.httpMetrics === true) return
  const { sizes = false, labels = {} } = options
  const hasCustomLabels = Object.keys(labels).length > 0

  /** On a socket, the response to its latest request. */
  const kLatest: unique symbol = Symbol('data20.http.latest')
  /** On a socket, the responses that wait for an earlier one to end. */
  const kWaiting: unique symbol = Symbol('data20.http.waiting')
  type MeasuredSocket = Duplex & { [kLatest]?: MeasuredResponse; [kWaiting]?: Set<MeasuredResponse> }

  const metrics = await ensureMetrics(fastify)
  const kMeasurement: MeasurementMark = marks.get(metrics) ?? (Symbol('data20.http.measurement') as MeasurementMark)
  marks.set(metrics, kMeasurement)
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
    // Before any listener: Node.js answers some requests itself (no Host, too many on a connection), and Fastify some
    // without a hook (a malformed URL, one during close()).
    const onStart = (message: unknown) => {
      const { response, socket, server: receiver } = message as RequestStart
      if (receiver === server) onRequestStart(response, socket)
    }
    const observe = () => subscribe(REQUEST_START, onStart)
    if (server.listening) observe()
    server.on('listening', observe)
    server.on('close', () => unsubscribe(REQUEST_START, onStart))
    // HTTP/2 has no such channel, and a server may be given requests without listening.
    server.prependListener('request', (_request, response) => measurementOf(response))
    // Ahead of Fastify's, which destroys the socket.
    server.prependListener('clientError', onClientError)
  }

  function onRequestStart(response: MeasuredResponse, socket: MeasuredSocket): void {
    begin(response)
    if (busyResponse(socket) !== undefined) awaitSocket(response, socket)
    if (socket[kLatest] === undefined) socket.on('end', onEnd)
    socket[kLatest] = response
  }

  function begin(response: MeasuredResponse): Measurement {
    const measurement = new Measurement()
    response[kMeasurement] = measurement
    response.on('close', onClose)
    // HTTP/2: a stream that is reset with NO_ERROR while something waits to be sent is aborted, and never closed.
    if ('stream' in response) response.stream.on('aborted', () => onClose.call(response))
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
    } else if (response.socket === null && !('stream' in response)) awaitSocket(response, response.req.socket)
    return measurement
  }

  /** The client's end of the connection: Node.js sends nothing more. */
  function onEnd(this: Duplex): void {
    const measurement = unanswered(this)
    if (measurement !== undefined) measurement.isUnsent = true
  }

  /** The request whose answer a connection waits for, while it has taken no header of it. */
  function unanswered(socket: Duplex): Measurement | undefined {
    const response = busyResponse(socket) as MeasuredResponse | undefined
    return response === undefined || areHeadersSent(response) ? undefined : response[kMeasurement]
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
    let status = this.statusCode
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

  function onClientError({ code }: { code?: unknown }, socket: MeasuredSocket): void {
    // All that breaks a connection comes here, the application's own destroy(error) too.
    if (!isParserError(code) || socket.destroyed) return
    // The connection ends with Fastify's answer, which the client takes for that to the first request without one.
    const measurement = unanswered(socket)
    if (measurement !== undefined) measurement.answered = statusOfParserError(code)
    // Bytes of a body are part of a request, and it is counted.
    const latest = socket[kLatest]
    if (latest !== undefined && !latest.req.complete) return
    const series = parserErrorSeries.get(code) ?? parserErrorSeries.get('other')
    series?.inc()
  }
}

const plugin: FastifyPluginAsync<HttpMetricsOptions> = fp(httpMetrics, { name: '@data20/http-metrics', fastify: '5.x' })

export type { CustomLabel, HttpMetricsOptions, RouteMetricsOptions }
export { plugin as default, plugin as httpMetrics }
