/**
 * The queue of the runs: `app.runQueue`, with its metrics.
 *
 * @module
 */
import queueMetrics from '@data20/queue-metrics'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { tools } from '../knowledge/tools/index.ts'
import { openRunQueue, type RunQueue } from '../runs/queue.ts'

declare module 'fastify' {
  interface FastifyInstance {
    runQueue: RunQueue
  }
}

async function queue(app: FastifyInstance): Promise<void> {
  const runQueue = await openRunQueue(app.config, app.databaseUrl)
  app.addHook('onClose', () => runQueue.close())
  app.decorate('runQueue', runQueue)

  await app.register(queueMetrics, {
    queues: [runQueue.queue],
    taskNames: { [app.config.QUEUE_NAME]: [...tools.keys()] },
  })
  await runQueue.check().catch((error) => {
    app.log.warn({ err: error }, `${runQueue.place} cannot be reached: queued runs wait in the database until it can`)
  })
}

export default fp(queue, { name: 'queue', fastify: '5.x', dependencies: ['metrics', 'database'] })
