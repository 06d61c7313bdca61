/**
 * `fastify.queueMetrics.observe(queue)` and `.observe(worker)`: outcomes, durations, waiting times and the state of
 * BullMQ's queues, on Redis and on PostgreSQL.
 *
 * @module
 */
import { ensureMetrics } from '@data20/metrics-core/plugin'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { isQueue, isWorker, type ObservableQueue, type ObservableWorker } from './bullmq.ts'
import { UnwatchableError } from './errors.ts'
import { createInstruments } from './instruments.ts'
import { type QueueMetricsOptions, resolveOptions } from './options.ts'
import { observeQueue } from './queue.ts'
import { observeWorker } from './worker.ts'

/** What applications find at `fastify.queueMetrics`. */
export interface QueueMetrics {
  /**
   * Counts the jobs of a BullMQ Worker from now on, or reads the state of a BullMQ Queue on each scrape, until it or
   * the application is closed. Observing it again changes nothing. Adds no listener for `error`: handling it stays with
   * the application. Throws for anything else.
   */
  observe(target: ObservableQueue | ObservableWorker): void
  /** @deprecated Use `observe`. */
  watch(target: ObservableQueue | ObservableWorker): void
}

declare module 'fastify' {
  interface FastifyInstance {
    queueMetrics: QueueMetrics
  }
}

async function queueMetrics(fastify: FastifyInstance, options: QueueMetricsOptions): Promise<void> {
  const resolved = resolveOptions(options)
  const metrics = await ensureMetrics(fastify)
  const instruments = createInstruments(metrics, resolved)
  const release = new Map<object, () => void>()

  for (const target of [...resolved.queues, ...resolved.workers]) observe(target)

  fastify.decorate('queueMetrics', { observe, watch: observe })

  fastify.addHook('onClose', async () => {
    for (const target of release.keys()) stop(target)
  })

  function observe(target: ObservableQueue | ObservableWorker): void {
    if (release.has(target)) return
    const onClosed = () => stop(target)
    if (isWorker(target)) release.set(target, observeWorker(target, instruments, onClosed))
    else if (isQueue(target)) release.set(target, observeQueue(target, instruments, metrics, onClosed))
    else throw new UnwatchableError(describe(target))
  }

  function stop(target: object): void {
    release.get(target)?.()
    release.delete(target)
  }
}

function describe(target: unknown): string {
  const name = (target as object | null | undefined)?.constructor?.name
  return name === undefined ? `${target}` : `an instance of ${name}`
}

const plugin: FastifyPluginAsync<QueueMetricsOptions> = fp(queueMetrics, {
  name: '@data20/queue-metrics',
  fastify: '5.x',
})

/** @deprecated Use `ObservableQueue`. */
export type WatchedQueue = ObservableQueue
/** @deprecated Use `ObservableWorker`. */
export type WatchedWorker = ObservableWorker
export type { ObservableQueue, ObservableWorker, QueueMetricsOptions }
export { plugin as default, plugin as queueMetrics, UnwatchableError }
