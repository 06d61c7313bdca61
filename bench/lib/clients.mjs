// Three clients behind one interface: `counter(options)`, `histogram(options)`, and `scrape()` to a buffer, as a
// response needs it.
import { metricsCore } from '@data20/metrics-core'
import * as prometheusIo from '@prometheus-io/client'
import Fastify from 'fastify'
import * as promClient from 'prom-client'

export const CLIENTS = ['data20', 'prom-client', '@prometheus-io/client']

const STATUSES = [200, 201, 304, 400, 404, 499, 500]
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
/** Samples of one route: its counters, and the buckets of a histogram with +Inf, sum and count. */
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
 * Makes the metrics of an HTTP service with `series` series and observes each once. Routes are numbered from
 * `firstRoute`. `kind` is `counters`, `histograms`, or the `mix` of a real service: 7 counters and a histogram of 14
 * samples per route. Returns a function that binds the series; it returns a function that observes a share of them
 * again.
 */
export function fill(client, series, kind = 'mix', firstRoute = 0) {
  const perRoute = { counters: STATUSES.length, histograms: BUCKETS.length + 3, mix: SERIES_PER_ROUTE }[kind]
  const routes = Array.from({ length: series / perRoute }, (_, index) => `/api/v1/resource-${firstRoute + index}/:id`)
  const requests = kind === 'histograms' ? undefined : client.counter(requestsOptions)
  const duration = kind === 'counters' ? undefined : client.histogram(durationOptions)
  for (const [index, endpoint] of routes.entries()) {
    const labels = { endpoint, method: 'GET' }
    if (requests) for (const status of STATUSES) requests.inc({ ...labels, status })
    duration?.observe(labels, (index % 1000) / 997)
  }
  return bind

  function bind() {
    const bound = routes.map((endpoint) => {
      const labels = { endpoint, method: 'GET' }
      return {
        counters: requests ? STATUSES.map((status) => requests.labels({ ...labels, status })) : [],
        histogram: duration?.labels(labels),
      }
    })
    let turn = 0
    return function change(share) {
      turn += 1
      for (const [index, { counters, histogram }] of bound.slice(0, bound.length * share).entries()) {
        for (const counter of counters) counter.inc()
        histogram?.observe(((index + turn) % 1000) / 997)
      }
    }
  }
}
