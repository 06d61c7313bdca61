/**
 * The application of the backend: what is served and what is measured. `server.ts` is the process around it.
 *
 * @module
 */
import cacheMetrics from '@data20/cache-metrics'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import closing from './plugins/closing.ts'
import database from './plugins/database.ts'
import errorHandler from './plugins/error-handler.ts'
import metrics from './plugins/metrics.ts'
import openapi from './plugins/openapi.ts'
import outbox from './plugins/outbox.ts'
import queue from './plugins/queue.ts'
import runs from './plugins/runs.ts'
import store from './plugins/store.ts'
import worker from './plugins/worker.ts'
import { healthRoutes } from './routes/health.ts'
import { historyRoutes } from './routes/history.ts'
import { rootRoutes } from './routes/root.ts'
import { startRunRoutes } from './routes/start-run.ts'
import { toolRoutes } from './routes/tools.ts'

/**
 * Registers every plugin after those that it depends on. Fastify calls the `onClose` hooks last in, first out, so what
 * is taken last is released first.
 */
async function backend(app: FastifyInstance): Promise<void> {
  await app.register(errorHandler)
  await app.register(metrics)
  await app.register(cacheMetrics)
  await app.register(closing)
  await app.register(database)
  await app.register(store)
  await app.register(queue)
  await app.register(outbox)
  if (app.config.WORKERS === 1) await app.register(worker)
  await app.register(runs)

  await app.register(openapi)
  await app.register(rootRoutes)
  await app.register(healthRoutes)
  await app.register(toolRoutes)
  await app.register(startRunRoutes)
  await app.register(historyRoutes)
}

export default fp(backend, { name: 'backend', fastify: '5.x' })
