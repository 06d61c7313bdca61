/**
 * `fastify.metrics`: one registry per application, instruments that cost a number add, collectors that cannot harm a
 * scrape, and `GET /metrics`.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { Registry } from 'prom-client'
import { checkTimeout } from './checks.ts'
import { AlreadyRegisteredError, InvalidOptionError } from './errors.ts'
import type { Counter } from './instruments/counter.ts'
import type { Gauge } from './instruments/gauge.ts'
import type { Histogram } from './instruments/histogram.ts'
import { definitions } from './metrics.ts'
import { addDefaultMetrics } from './nodejs/default-metrics.ts'
import type { MetricsCoreOptions } from './options.ts'
import { createMetrics, type Metrics } from './registry.ts'
import { createEndpoint } from './scrape/endpoint.ts'

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Metrics
  }
  interface FastifyContextConfig {
    /** `false`: the HTTP metrics leave this route out. */
    metrics?: false | object
  }
}

async function metricsCore(fastify: FastifyInstance, options: MetricsCoreOptions): Promise<void> {
  if (fastify.hasDecorator('metrics')) {
    if (Object.keys(options).length > 0) throw new AlreadyRegisteredError('metrics-core')
    return
  }
  const {
    registry = new Registry(),
    path: route = '/metrics',
    defaultMetrics = true,
    collectorTimeoutMs = 1000,
    app = readPackage(),
    listen,
  } = options
  checkOptions(options)

  const { metrics, close } = createMetrics(registry, options, fastify.log)
  metrics
    .gauge(definitions.appInfo)
    .reserve({ ...app, node_version: process.version })
    .set(1)
  const stopDefaultMetrics = defaultMetrics ? addDefaultMetrics(metrics) : () => {}

  fastify.decorate('metrics', metrics)

  if (route !== false) {
    const endpoint = createEndpoint(metrics, options, { route, collectorTimeoutMs })
    if (listen === undefined) fastify.route(endpoint)
    else serveApart(fastify, endpoint, listen)
  }

  fastify.addHook('onClose', async () => {
    stopDefaultMetrics()
    await close()
  })
}

/** A server of its own for the exposition, up once the application is ready, closed with it. */
function serveApart(
  fastify: FastifyInstance,
  endpoint: ReturnType<typeof createEndpoint>,
  { port, host = '127.0.0.1' }: { port: number; host?: string },
): void {
  const server = Fastify({ loggerInstance: fastify.log })
  server.route(endpoint)
  fastify.addHook('onReady', async () => {
    await server.listen({ port, host })
  })
  fastify.addHook('onClose', async () => {
    await server.close()
  })
}

function readPackage(): { name: string; version: string } {
  try {
    const { name = 'unknown', version = 'unknown' } = JSON.parse(
      readFileSync(path.join(process.cwd(), 'package.json'), 'utf8'),
    )
    return { name, version }
  } catch {
    return { name: 'unknown', version: 'unknown' }
  }
}

function checkOptions(options: MetricsCoreOptions): void {
  const { path: route = '/metrics', maxSeries = 1000, collectorTimeoutMs = 1000, maxConcurrentScrapes = 40 } = options
  if (route !== false && !`${route}`.startsWith('/'))
    throw new InvalidOptionError('path', 'a path that begins with /', route)
  if (!(maxSeries >= 0)) throw new InvalidOptionError('maxSeries', 'a number ≥ 0', maxSeries)
  checkTimeout(collectorTimeoutMs, 'collectorTimeoutMs')
  if (!(maxConcurrentScrapes >= 1)) {
    throw new InvalidOptionError('maxConcurrentScrapes', 'a number ≥ 1', maxConcurrentScrapes)
  }
}

const plugin: FastifyPluginAsync<MetricsCoreOptions> = fp(metricsCore, { name: '@data20/metrics-core', fastify: '5.x' })

export * from './errors.ts'
export type { CounterOptions, CounterSeries } from './instruments/counter.ts'
export type { ExemplarLabels } from './instruments/exemplar.ts'
export type { GaugeOptions, GaugeSeries } from './instruments/gauge.ts'
export { DEFAULT_BUCKETS, type HistogramOptions, type HistogramSeries } from './instruments/histogram.ts'
export { type Aggregator, type InstrumentOptions, OVERFLOW } from './instruments/instrument.ts'
export type { Labels, LabelValue } from './instruments/labels.ts'
export type { Auth, MetricsCoreOptions, RegistryLike } from './options.ts'
export type { ExposeOptions, Exposition, Metrics } from './registry.ts'
export type { Collect } from './scrape/collectors.ts'
export { type Counter, type Gauge, type Histogram, plugin as default, plugin as metricsCore }
