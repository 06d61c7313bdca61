/**
 * The worker: executes queued runs in this process.
 *
 * @module
 */
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createToolPool } from '../knowledge/pool.ts'
import { startRunWorker } from '../runs/worker.ts'

async function worker(app: FastifyInstance): Promise<void> {
  const { config } = app
  // Threads of its own, so that inline runs never wait behind queued ones. Without a run there is none.
  const pool = createToolPool({
    docsDir: config.DOCS_DIR,
    minThreads: 0,
    maxThreads: config.WORKER_CONCURRENCY,
  })
  app.addHook('onClose', () => pool.close())

  const { close } = startRunWorker({
    store: app.runStore,
    queue: app.runQueue,
    pool,
    toolMetrics: app.toolMetrics,
    queueMetrics: app.queueMetrics,
    log: app.log,
    timeoutMs: config.TOOL_TIMEOUT_MS,
    maxResultBytes: config.MAX_RESULT_BYTES,
    closeGraceMs: config.CLOSE_GRACE_MS,
  })
  // Closing begins while the last requests are answered, and ends before the queue is closed.
  app.addHook('preClose', async () => void close())
  app.addHook('onClose', close)
}

export default fp(worker, { name: 'worker', fastify: '5.x', dependencies: ['metrics', 'store', 'queue'] })
