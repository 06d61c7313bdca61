/**
 * `fastify.queueMetrics.watch(queue)` and `.watch(worker)`: outcomes, durations, waiting times and the state of BullMQ's
 * queues, on Redis and on PostgreSQL.
 *
 * @module
 */
import { checkList, ensureMetrics } from '@data20/metrics-core/plugin'
import createError, { type FastifyErrorConstructor } from '@fastify/error'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { createInstruments } from './instruments.ts'
import type { QueueMetricsOptions } from './options.ts'
import { isQueue, type WatchedQueue, watchQueue } from './queue.ts'
import { isWorker, type WatchedWorker, watchWorker } from './worker.ts'

/** What applications find at `fastify.queueMetrics`. */
export interface QueueMetrics {
  /**
   * Counts the jobs of a BullMQ Worker from now on, or reads the state of a BullMQ Queue at each scrape, until it or the
   * application is closed. Watching twice is watching once. Listens to no `error` event: handling it stays with the
   * application. Throws for anything else.
   */
  watch(target: WatchedQueue | WatchedWorker): void
}

declare module 'fastify' {
  interface FastifyInstance {
    queueMetrics: QueueMetrics
  }
}

/** Neither a Queue nor a Worker. Argument: what it is. */
export const UnwatchableError: FastifyErrorConstructor<{ code: string }, [string]> = createError(
  'QUEUE_METRICS_ERR_UNWATCHABLE',
  'Expected a Queue or a Worker of BullMQ 6, got %s',
  500,
)

async function queueMetrics(fastify: FastifyInstance, options: QueueMetricsOptions): Promise<void> {
  const { queues = [], workers = [] } = options
  checkList(queues, 'queues')
  checkList(workers, 'workers')

  const metrics = await ensureMetrics(fastify)
  const instruments = createInstruments(metrics, options)
  const unwatchers = new Map<object, () => void>()

  for (const target of [...queues, ...workers]) watch(target)

  fastify.decorate('queueMetrics', { watch })

  fastify.addHook('onClose', async () => {
    for (const target of unwatchers.keys()) unwatch(target)
  })

  function watch(target: WatchedQueue | WatchedWorker): void {
    if (unwatchers.has(target)) return
    const onClosed = () => unwatch(target)
    if (isWorker(target)) unwatchers.set(target, watchWorker(target, instruments, onClosed))
    else if (isQueue(target)) unwatchers.set(target, watchQueue(target, instruments, metrics, onClosed))
    else throw new UnwatchableError(describe(target))
  }

  function unwatch(target: object): void {
    unwatchers.get(target)?.()
    unwatchers.delete(target)
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

export type { QueueMetricsOptions, WatchedQueue, WatchedWorker }
export { plugin as default, plugin as queueMetrics }
