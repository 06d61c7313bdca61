/**
 * The application of a worker process: queued runs, and what is measured of them. `worker.ts` is the process around it.
 *
 * @module
 */
import httpMetrics from '@data20/http-metrics'
import type { FastifyInstance } from 'fastify'
import { buildBase } from './base.ts'
import type { Config } from './config.ts'
import { healthRoutes } from './routes/health.ts'

/**
 * Builds a worker that has begun to work, ready to listen for `/metrics` and `/health`. The caller closes it.
 * Throws a `ConfigError` for a database that cannot be used.
 */
export async function buildWorkerApp(config: Config): Promise<FastifyInstance> {
  return await buildBase(config, { isDatabaseBorrowed: true, hasWorker: true }, async ({ app, store, queue }) => {
    await app.register(httpMetrics)
    await app.register(healthRoutes, { docsDir: config.DOCS_DIR, store, queue })
  })
}
