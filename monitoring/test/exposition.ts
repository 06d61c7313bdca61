import { once } from 'node:events'
import cacheMetrics, { disposeHook } from '@data20/cache-metrics'
import dbMetrics from '@data20/db-metrics'
import { startPostgres, startRedis } from '@data20/dev-services'
import httpMetrics from '@data20/http-metrics'
import metricsCore from '@data20/metrics-core'
import queueMetrics from '@data20/queue-metrics'
import systemMetrics from '@data20/system-metrics'
import toolMetrics from '@data20/tool-metrics'
import { Queue, Worker } from 'bullmq'
import Fastify, { type FastifyInstance } from 'fastify'
import { LRUCache } from 'lru-cache'
import pg from 'pg'
import type { Test } from 'tap'

/** A line of an exposition. */
export interface Line {
  name: string
  labels: Record<string, string>
  value: string
}

/**
 * Returns the exposition of an application with all plugins and all optional metrics, after traffic. Throws
 * `ToolUnavailableError`.
 */
export async function exposeAll(t: Test): Promise<string> {
  const postgres = await startPostgres({ durable: false })
  t.teardown(() => postgres.stop())
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const app = Fastify()
  const pool = new pg.Pool({ connectionString: postgres.url })
  app.addHook('onClose', () => pool.end())
  const runs = await addQueue(app, new URL(redis.url))
  await addPlugins(app, pool)
  addRoutes(app, pool, runs)
  await app.listen({ port: 0, host: '127.0.0.1' })
  try {
    await drive(app)
    // The second scrape has counted the first.
    await app.inject('/metrics')
    const { payload } = await app.inject('/metrics')
    return payload
  } finally {
    await app.close()
  }
}

async function addQueue(app: FastifyInstance, { hostname, port }: URL): Promise<{ queue: Queue; worker: Worker }> {
  const connection = { host: hostname, port: Number(port) }
  const queue = new Queue('runs', { connection })
  const worker = new Worker('runs', async ({ data }) => fail(data.isFailing), { connection, autorun: false })
  worker.on('error', () => {})
  queue.on('error', () => {})
  app.addHook('onClose', async () => {
    await worker.close()
    await queue.close()
  })
  await queue.obliterate({ force: true })
  await app.register(metricsCore, { app: { name: 'all', version: '1.0.0' } })
  await app.register(queueMetrics, { queues: [queue], workers: [worker], taskNames: { runs: ['build_graph'] } })
  return { queue, worker }
}

async function addPlugins(app: FastifyInstance, pool: pg.Pool): Promise<void> {
  await app.register(httpMetrics, { sizes: true })
  await app.register(toolMetrics, {
    tools: ['build_graph', 'search'],
    isFailure: () => {
      throw new Error('counted in metrics_errors_total')
    },
  })
  await app.register(dbMetrics, { pools: { default: pool } })
  const entries = new LRUCache<string, string>({
    maxSize: 100,
    sizeCalculation: ({ length }) => length,
    dispose: disposeHook(),
  })
  await app.register(cacheMetrics, { caches: { tool_results: entries } })
  await app.register(systemMetrics)
  app.decorate('entries', entries)
}

function addRoutes(app: FastifyInstance, pool: pg.Pool, { queue, worker }: { queue: Queue; worker: Worker }): void {
  app.get('/api/tools', async () => {
    const { entries } = app as unknown as { entries: LRUCache<string, string> }
    entries.get('list') ?? entries.set('list', await app.cacheMetrics.load('tool_results', async () => 'build_graph'))
    return entries.get('list')
  })
  app.post<{ Body: { isFailing: boolean } }>('/api/run', async ({ body: { isFailing } }) => {
    await pool.query(isFailing ? 'SELECT wrong' : 'SELECT 1').catch(() => {})
    await app.toolMetrics.track('build_graph', () => fail(isFailing))
    return {}
  })
  app.post<{ Body: { isFailing: boolean } }>('/api/jobs', async ({ body: { isFailing } }) => {
    const ended = once(worker, isFailing ? 'failed' : 'completed')
    const job = await queue.add('build_graph', { isFailing }, { attempts: 2 })
    if (!worker.isRunning()) worker.run().catch(() => {})
    await ended
    return { id: job.id }
  })
}

async function drive(app: FastifyInstance): Promise<void> {
  for (let index = 0; index < 10; index += 1) {
    const isFailing = index % 5 === 4
    await app.inject('/api/tools')
    await app.inject('/nowhere')
    await app.inject({ method: 'POST', url: '/api/run', payload: { isFailing } })
    await app.inject({ method: 'POST', url: '/api/jobs', payload: { isFailing } })
  }
  app.toolMetrics.reject('unknown_tool')
  // CPU use is measured since the sample before.
  await app.systemMetrics.sample()
}

function fail(isFailing: boolean): Record<string, never> {
  if (isFailing) throw new Error('failed as it was asked to')
  return {}
}

/** Returns the samples of an exposition in the text format. */
export function parseExposition(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line)!
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(
        ([, label, text]) => [label!, text!] as const,
      )
      return { name: name!, labels: Object.fromEntries(pairs), value: value! }
    })
}
