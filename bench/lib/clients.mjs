// Three clients behind one shape: `counter(options)`, `histogram(options)`, `scrape()` to a buffer, which is what a response needs.
import { metricsCore } from '@data20/metrics-core'
import * as prometheusIo from '@prometheus-io/client'
import Fastify from 'fastify'
import * as promClient from 'prom-client'

export const CLIENTS = ['data20', 'prom-client', '@prometheus-io/client']

const STATUSES = [200, 201, 304, 400, 404, 499, 500]
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
/** Samples of one route: its counters, and a histogram's buckets with +Inf, sum and count. */
const SERIES_PER_ROUTE = STATUSES.length + BUCKETS.length + 3

export const requestsOptions = {
  name: 'http_requests_total',
  help: 'HTTP requests.',
  labelNames: ['endpoint', 'method', 'status'],
}
export const durationOptions = {
  name: 'http_request_duration_seconds',
  help: 'Duration of HTTP requests.',
  labelNames: ['endpoint', 'method'],
  buckets: BUCKETS,
}

export async function createClient(name) {
  if (name === 'data20') return createOurs()
  const { Registry, Counter, Histogram } = name === 'prom-client' ? promClient : prometheusIo
  const registry = new Registry()
  return {
    counter: (options) => new Counter({ ...options, registers: [registry] }),
    histogram: (options) => new Histogram({ ...options, registers: [registry] }),
    scrape: async () => Buffer.from(await registry.metrics()),
  }
}

async function createOurs() {
  const app = Fastify()
  await app.register(metricsCore, { maxSeries: Infinity, defaultMetrics: false, path: false })
  await app.ready()
  return {
    counter: (options) => app.metrics.counter(options),
    histogram: (options) => app.metrics.histogram(options),
    scrape: async () => (await app.metrics.expose()).body,
  }
}

/**
 * The metrics of an HTTP service of so many series, and a function that changes a share of them.
 * `kind`: `counters`, `histograms` or, as a service has them, the `mix`: 7 counters and a histogram of 14 samples per route.
 */
export function fill(client, series, kind = 'mix') {
  const perRoute = { counters: STATUSES.length, histograms: BUCKETS.length + 3, mix: SERIES_PER_ROUTE }[kind]
  const routes = Array.from({ length: series / perRoute }, (_, index) => `/api/v1/resource-${index}/:id`)
  const requests = kind === 'histograms' ? undefined : client.counter(requestsOptions)
  const duration = kind === 'counters' ? undefined : client.histogram(durationOptions)
  let turn = 0

  change(1)
  return change

  function change(share) {
    turn += 1
    for (let index = 0; index < routes.length * share; index += 1) {
      const labels = { endpoint: routes[index], method: 'GET' }
      if (requests) for (const status of STATUSES) requests.inc({ ...labels, status })
      duration?.observe(labels, ((index + turn) % 1000) / 997)
    }
  }
}
