// One application with ten routes: without metrics, with ours, and with each peer as its README shows it first.
import { httpMetrics } from '@data20/http-metrics'
import { metricsCore } from '@data20/metrics-core'
import promster from '@promster/fastify'
import Fastify from 'fastify'
import fastifyMetrics from 'fastify-metrics'
import { Counter, Histogram, Registry } from 'prom-client'
import { durationOptions, requestsOptions } from './clients.mjs'

const ROUTES = Array.from({ length: 10 }, (_, index) => `/api/v1/resource-${index}`)
/** The paths requested, in turn. */
export const PATHS = ROUTES.map((route) => `${route}/4711`)

/** Without the process metrics, which cost CPU per garbage collection and nothing per request. */
export const ALONE = 'data20, HTTP alone'
/** The same for the peer that can leave them out. */
export const PEER_ALONE = 'fastify-metrics, HTTP alone'

/** How each variant changes the application, in the order of the tables. */
const PLUGINS = {
  bare: () => {},
  'no-op onResponse': (app) => app.addHook('onResponse', (_request, _reply, done) => done()),
  [ALONE]: async (app) => {
    await app.register(metricsCore, { defaultMetrics: false })
    await app.register(httpMetrics)
  },
  data20: (app) => app.register(httpMetrics),
  'prom-client, by hand': addByHand,
  'fastify-metrics, no summary': (app) =>
    app.register(fastifyMetrics.default, { routeMetrics: { enabled: { histogram: true, summary: false } } }),
  [PEER_ALONE]: (app) => app.register(fastifyMetrics.default, { defaultMetrics: { enabled: false } }),
  'fastify-metrics': (app) => app.register(fastifyMetrics.default),
  '@promster/fastify': (app) => app.register(promster.plugin),
}

export const VARIANTS = Object.keys(PLUGINS)

/** Returns the application of a variant, ready. Its handlers call `work` before they answer. */
export async function createApp(variant, work = () => {}) {
  const app = Fastify()
  await PLUGINS[variant](app)
  const response = { 200: { type: 'object', properties: { id: { type: 'string' }, name: { type: 'string' } } } }
  for (const route of ROUTES) {
    app.get(`${route}/:id`, { schema: { response } }, async (request) => {
      work()
      return { id: request.params.id, name: 'a name' }
    })
  }
  await app.ready()
  return app
}

function addByHand(app) {
  const registers = [new Registry()]
  const requests = new Counter({ ...requestsOptions, registers })
  const duration = new Histogram({ ...durationOptions, registers })
  app.addHook('onResponse', (request, reply, done) => {
    const endpoint = request.routeOptions.url
    requests.inc({ endpoint, method: request.method, status: reply.statusCode })
    duration.observe({ endpoint, method: request.method }, reply.elapsedTime / 1000)
    done()
  })
}
