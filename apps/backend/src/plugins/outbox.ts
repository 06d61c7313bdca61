/**
 * Moves runs that are missing in the queue from the database to it, for as long as the application runs.
 *
 * @module
 */
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { startOutbox } from '../runs/outbox.ts'

async function outbox(app: FastifyInstance): Promise<void> {
  const { close } = startOutbox({
    store: app.runStore,
    queue: app.runQueue,
    log: app.log,
    intervalMs: app.config.RECONCILE_MS,
    historyDays: app.config.HISTORY_DAYS,
  })
  // Closing begins while the last requests are answered; nobody waits for it yet.
  app.addHook('preClose', async () => void close())
  app.addHook('onClose', close)
}

export default fp(outbox, { name: 'outbox', fastify: '5.x', dependencies: ['store', 'queue'] })
