/**
 * The application: what is served and what is measured. `server.ts` is the process around it.
 *
 * @module
 */
import httpMetrics from '@data20/http-metrics'
import metricsCore from '@data20/metrics-core'
import systemMetrics from '@data20/system-metrics'
import toolMetrics from '@data20/tool-metrics'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import Fastify, { type FastifyInstance, LogController } from 'fastify'
import type { Config } from './config.ts'
import { answerError, answerNotFound } from './errors.ts'
import { NAME, VERSION } from './package.ts'
import { healthRoutes } from './routes/health.ts'
import { rootRoutes } from './routes/root.ts'
import { runRoutes } from './routes/run.ts'
import { toolRoutes } from './routes/tools.ts'
import { tools } from './tools/index.ts'
import { createToolPool } from './tools/pool.ts'

/** Builds the application, ready to listen or to inject into. The caller closes it. */
export async function buildApp(config: Config): Promise<FastifyInstance> {
  const app = Fastify({
    bodyLimit: config.BODY_LIMIT,
    logger: { level: config.LOG_LEVEL },
    // A metric says how often, the log what went wrong: a line per request would be a second, dearer count.
    logController: new LogController({ disableRequestLogging: true }),
    // Wrong types and unknown fields are told, not repaired.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  })
  app.setErrorHandler(answerError)
  app.setNotFoundHandler(answerNotFound)

  await app.register(metricsCore, {
    app: { name: NAME, version: VERSION },
    ...(config.METRICS_TOKEN === '' ? {} : { auth: { bearer: config.METRICS_TOKEN } }),
  })
  // The pages of /docs are many files of one thing.
  await app.register(httpMetrics, { ignore: ['/docs/static/*'] })
  await app.register(systemMetrics, { path: config.DOCS_DIR })
  await app.register(toolMetrics, { tools: [...tools.keys()] })

  const pool = createToolPool({ docsDir: config.DOCS_DIR, maxThreads: config.MAX_WORKER_THREADS })
  app.addHook('onClose', () => pool.close())

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
  await app.register(healthRoutes, { docsDir: config.DOCS_DIR })
  await app.register(toolRoutes)
  await app.register(runRoutes, {
    pool,
    timeoutMs: config.TOOL_TIMEOUT_MS,
    maxConcurrentRuns: config.MAX_CONCURRENT_RUNS,
  })
  return app
}
