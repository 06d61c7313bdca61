/**
 * The application: what is served and what is measured. `server.ts` is the process around it.
 *
 * @module
 */
import cacheMetrics from '@data20/cache-metrics'
import httpMetrics from '@data20/http-metrics'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { type Base, buildBase } from './base.ts'
import type { Config } from './config.ts'
import { createToolPool } from './knowledge/pool.ts'
import { NAME, VERSION } from './package.ts'
import { healthRoutes } from './routes/health.ts'
import { runsRoutes } from './routes/history.ts'
import { rootRoutes } from './routes/root.ts'
import { runRoutes } from './routes/start-run.ts'
import { toolRoutes } from './routes/tools.ts'
import { createRunRecorder } from './runs/recorder.ts'
import { createResultCache } from './runs/result-cache.ts'

/**
 * Builds the application, ready to listen or to inject into, with its database, its queue and its worker. The caller closes it.
 * Throws a `ConfigError` for a database that cannot be used.
 */
export async function buildApp(config: Config): Promise<FastifyInstance> {
  return await buildBase(config, { isDatabaseBorrowed: false, hasWorker: config.WORKERS === 1 }, addRoutes)

  async function addRoutes({ app, store, queue }: Base): Promise<void> {
    // The pages of /docs are many files of one thing.
    await app.register(httpMetrics, { ignore: ['/docs/static/*'] })
    await app.register(cacheMetrics)

    const pool = createToolPool({ docsDir: config.DOCS_DIR, maxThreads: config.MAX_WORKER_THREADS })
    app.addHook('onClose', () => pool.close())
    const recorder = createRunRecorder({ store, log: app.log, maxResultBytes: config.MAX_RESULT_BYTES })
    app.addHook('onClose', () => recorder.settle())
    const cache = createResultCache(pool, config.CACHE_MAX_BYTES)
    app.cacheMetrics.observe('tool_results', cache.entries)

    await app.register(swagger, {
      openapi: {
        info: {
          title: NAME,
          version: VERSION,
          description: 'Tools over a folder of Markdown documents, served and measured.',
        },
      },
    })
    await app.register(swaggerUi, { routePrefix: '/docs' })
    await app.register(rootRoutes)
    await app.register(healthRoutes, { docsDir: config.DOCS_DIR, store, queue })
    await app.register(toolRoutes)
    await app.register(runRoutes, {
      pool,
      store,
      queue,
      cache,
      recorder,
      timeoutMs: config.TOOL_TIMEOUT_MS,
      maxConcurrentRuns: config.MAX_CONCURRENT_RUNS,
      maxJobBytes: config.MAX_JOB_BYTES,
      attempts: config.QUEUE_ATTEMPTS,
    })
    await app.register(runsRoutes, { store, recorder })
  }
}
