/**
 * The runs in the database: `app.runStore`.
 *
 * @module
 */
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createRunStore, type RunStore } from '../runs/store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    runStore: RunStore
  }
}

async function store(app: FastifyInstance): Promise<void> {
  app.decorate('runStore', createRunStore(app.pg.pool))
}

export default fp(store, { name: 'store', fastify: '5.x', dependencies: ['database'] })
