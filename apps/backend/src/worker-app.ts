/**
 * The application of a worker process: executes queued runs and serves `/metrics` and `/health`. `worker-server.ts` is
 * the process around it.
 *
 * @module
 */
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import closing from './plugins/closing.ts'
import database from './plugins/database.ts'
import errorHandler from './plugins/error-handler.ts'
import metrics from './plugins/metrics.ts'
import outbox from './plugins/outbox.ts'
import queue from './plugins/queue.ts'
import store from './plugins/store.ts'
import worker from './plugins/worker.ts'
import { healthRoutes } from './routes/health.ts'

async function workerProcess(app: FastifyInstance): Promise<void> {
  await app.register(errorHandler)
  await app.register(metrics)
  await app.register(closing)
  await app.register(database, { isBorrowed: true })
  await app.register(store)
  await app.register(queue)
  await app.register(outbox)
  await app.register(worker)

  await app.register(healthRoutes)
}

export default fp(workerProcess, { name: 'worker-process', fastify: '5.x' })
