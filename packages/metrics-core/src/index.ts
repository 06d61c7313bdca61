/**
 * The Fastify plugin: decorates the application with `fastify.metrics`, a registry whose instruments record by one
 * addition and whose collectors cannot break a scrape, and serves `GET /metrics`.
 *
 * @module
 */
import Fastify, { type FastifyInstance, type FastifyPluginAsync, type RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { createMetrics, type Metrics } from './create-metrics.ts'
import { AlreadyRegisteredError, DecoratorTakenError, InvalidOptionError } from './errors.ts'
import type { Counter } from './instruments/counter.ts'
import type { Gauge } from './instruments/gauge.ts'
import type { Histogram } from './instruments/histogram.ts'
import { definitions } from './metrics.ts'
import { addDefaultMetrics } from './nodejs/default-metrics.ts'
import { type MetricsCoreOptions, resolveOptions } from './options.ts'
import { createEndpoint } from './scrape/endpoint.ts'

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Metrics
  }
  interface FastifyContextConfig {
    /** `false` leaves this route out of the HTTP metrics. */
    metrics?: false | object
  }
}

async function metricsCore(fastify: FastifyInstance, options: MetricsCoreOptions): Promise<void> {
  if (fastify.hasDecorator('metrics')) {
    if (typeof fastify.metrics?.counter !== 'function') throw new DecoratorTakenError()
    if (Object.keys(options).length > 0) throw new AlreadyRegisteredError('metrics-core')
    return
  }
  const resolved = resolveOptions(options)
  const { path, defaultMetrics, app, listen } = resolved

  const { metrics, close } = createMetrics(resolved, fastify.log)
  metrics
    .gauge(definitions.appInfo)
    .reserve({ ...app, node_version: process.version })
    .set(1)
  const stopDefaultMetrics = defaultMetrics ? addDefaultMetrics(metrics) : () => {}

  fastify.decorate('metrics', metrics)

  if (path !== false) {
    const endpoint = createEndpoint(metrics, { ...resolved, path }, fastify.log)
    if (listen === undefined) {
      const isTaken = fastify.hasRoute({ method: 'GET', url: path })
      if (isTaken) throw new InvalidOptionError('path', 'a path without a route of its own', path)
      fastify.route(endpoint)
    } else serveApart(fastify, endpoint, listen)
  }

  fastify.addHook('onClose', async () => {
    stopDefaultMetrics()
    await close()
  })
}

/** Serves the exposition from a second server, which starts when the application is ready and closes with it. */
function serveApart(fastify: FastifyInstance, endpoint: RouteOptions, listen: { port: number; host: string }): void {
  const server = Fastify({ loggerInstance: fastify.log })
  server.route(endpoint)
  fastify.addHook('onReady', async () => {
    await server.listen(listen)
  })
  fastify.addHook('onClose', async () => {
    await server.close()
  })
}

const plugin: FastifyPluginAsync<MetricsCoreOptions> = fp(metricsCore, { name: '@data20/metrics-core', fastify: '5.x' })

export type { Metrics } from './create-metrics.ts'
export type { Labels, LabelValue } from './encoding/labels.ts'
export {
  AlreadyRegisteredError,
  DecoratorTakenError,
  DecreaseError,
  InvalidNameError,
  InvalidOptionError,
  InvalidValueError,
  LabelCountError,
  MetricMismatchError,
  UnknownLabelError,
  UnknownOptionError,
} from './errors.ts'
export type { CounterOptions, CounterSeries } from './instruments/counter.ts'
export type { ExemplarLabels } from './instruments/exemplar.ts'
export type { Aggregator } from './instruments/family.ts'
export type { GaugeOptions, GaugeSeries } from './instruments/gauge.ts'
export { DEFAULT_BUCKETS, type HistogramOptions, type HistogramSeries } from './instruments/histogram.ts'
export { type InstrumentOptions, OVERFLOW } from './instruments/instrument.ts'
export type { Auth, MetricsCoreOptions, RegistryLike } from './options.ts'
export type { Collect } from './scrape/collectors.ts'
export type { ExposeOptions, Exposition } from './scrape/expose.ts'
export { type Counter, type Gauge, type Histogram, plugin as default, plugin as metricsCore }
