/**
 * What the backend and a worker process have in common: metrics, the database and the queue.
 *
 * @module
 */
import dbMetrics from '@data20/db-metrics'
import metricsCore from '@data20/metrics-core'
import queueMetrics from '@data20/queue-metrics'
import systemMetrics from '@data20/system-metrics'
import toolMetrics from '@data20/tool-metrics'
import postgres from '@fastify/postgres'
import Fastify, { type FastifyInstance, LogController } from 'fastify'
import type { Config } from './config.ts'
import { DATABASE_TIMEOUTS, openDatabase } from './database.ts'
import { answerError, answerNotFound } from './errors.ts'
import { tools } from './knowledge/tools/index.ts'
import { NAME, VERSION } from './package.ts'
import { startOutbox } from './runs/outbox.ts'
import { openRunQueue, type RunQueue } from './runs/queue.ts'
import { createRunStore, type RunStore } from './runs/store.ts'
import { startRunWorker } from './runs/worker.ts'

/** An application with a database and a queue, on which routes can be put. */
export interface Base {
  app: FastifyInstance
  store: RunStore
  queue: RunQueue
}

/** The options of an application that say which kind of process it is. */
export interface BaseOptions {
  /** Whether the database has to be there already, see `openDatabase`. */
  isDatabaseBorrowed: boolean
  /** Whether queued runs are worked off in this process. */
  hasWorker: boolean
}

/**
 * Builds the application up to its routes, which `addRoutes` adds. Everything is taken in the order in which it needs each other, and
 * given back in the opposite order when the application closes: Fastify calls the `onClose` hooks last in, first out.
 */
export async function buildBase(
  config: Config,
  { isDatabaseBorrowed, hasWorker }: BaseOptions,
  addRoutes: (base: Base) => Promise<void>,
): Promise<FastifyInstance> {
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
  try {
    await build()
  } catch (error) {
    await app.close()
    throw error
  }
  return app

  async function build(): Promise<void> {
    const database = await openDatabase(config, { isBorrowed: isDatabaseBorrowed })
    app.addHook('onClose', () => database.close())
    app.log.info(`the runs are in ${database.source}`)

    await app.register(metricsCore, {
      app: { name: NAME, version: VERSION },
      // A broker or a database that is down makes a scrape no longer than this.
      collectorTimeoutMs: 750,
      ...(config.METRICS_TOKEN === '' ? {} : { auth: { bearer: config.METRICS_TOKEN } }),
    })
    await app.register(systemMetrics, { path: config.DOCS_DIR })
    await app.register(toolMetrics, { tools: [...tools.keys()] })

    await app.register(postgres, { connectionString: database.url, ...DATABASE_TIMEOUTS })
    // A connection that breaks while nobody uses it would end the process.
    app.pg.pool.on('error', (error) => app.log.warn({ err: error }, 'a connection to the database broke'))
    await app.register(dbMetrics)
    const store = createRunStore(app.pg.pool)

    const queue = await openRunQueue(config, database.url)
    app.addHook('onClose', () => queue.close())
    await app.register(queueMetrics, {
      queues: [queue.queue],
      taskNames: { [config.QUEUE_NAME]: [...tools.keys()] },
    })
    await queue.check().catch((error) => {
      app.log.warn({ err: error }, `${queue.place} cannot be reached: queued runs wait in the database until it can`)
    })

    const outbox = startOutbox({
      store,
      queue,
      log: app.log,
      intervalMs: config.RECONCILE_MS,
      historyDays: config.HISTORY_DAYS,
    })
    // Begins while the last requests are answered.
    app.addHook('preClose', async () => void outbox.close())
    app.addHook('onClose', () => outbox.close())
    if (hasWorker) {
      startRunWorker(app, {
        store,
        queue,
        docsDir: config.DOCS_DIR,
        concurrency: config.WORKER_CONCURRENCY,
        timeoutMs: config.TOOL_TIMEOUT_MS,
        maxResultBytes: config.MAX_RESULT_BYTES,
        closeGraceMs: config.CLOSE_GRACE_MS,
      })
    }
    await addRoutes({ app, store, queue })
  }
}
