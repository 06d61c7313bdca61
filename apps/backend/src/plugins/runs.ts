/**
 * What inline runs need: threads that execute them, the set of those in flight, the cache of results, and the recorder
 * of the history.
 *
 * @module
 */
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createToolPool, type ToolPool } from '../knowledge/pool.ts'
import { createRunRecorder, type RunRecorder } from '../runs/recorder.ts'
import { createResultCache, type ResultCache } from '../runs/result-cache.ts'
import { createRunningSet, type RunningSet } from '../runs/running.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The threads of inline runs. */
    toolPool: ToolPool
    /** The inline runs in flight. */
    running: RunningSet
    resultCache: ResultCache
    runRecorder: RunRecorder
  }
}

async function runs(app: FastifyInstance): Promise<void> {
  const { config } = app
  const pool = createToolPool({ docsDir: config.DOCS_DIR, maxThreads: config.MAX_WORKER_THREADS })
  const recorder = createRunRecorder({ store: app.runStore, log: app.log, maxResultBytes: config.MAX_RESULT_BYTES })
  const running = createRunningSet(config.MAX_CONCURRENT_RUNS)
  const cache = createResultCache(pool, config.CACHE_MAX_BYTES)

  app.decorate('toolPool', pool)
  app.decorate('running', running)
  app.decorate('resultCache', cache)
  app.decorate('runRecorder', recorder)
  app.cacheMetrics.observe('tool_results', cache.entries)

  // A shutdown does not wait for a run that may take minutes.
  app.addHook('preClose', async () => running.abort(app.closing.reason))
  app.addHook('onClose', async () => {
    await running.settled()
    await recorder.settle()
    await pool.close()
  })
}

export default fp(runs, {
  name: 'runs',
  fastify: '5.x',
  dependencies: ['metrics', '@data20/cache-metrics', 'closing', 'store'],
})
