import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { startPostgres } from '@data20/dev-services'
import { createPostgresBackend, Worker } from 'bullmq'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import database from '../../dist/plugins/database.js'
import metrics from '../../dist/plugins/metrics.js'
import queue from '../../dist/plugins/queue.js'
import store from '../../dist/plugins/store.js'
import worker from '../../dist/plugins/worker.js'
import { build, createDatabase, enqueue, untilEnded } from '../helpers.ts'

const postgres = await startPostgres({ durable: false })
t.teardown(() => postgres.stop())

t.test('a worker that gets no connection in time is replaced', async (t) => {
  const sockets: Socket[] = []
  const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  const { port } = silent.address() as AddressInfo
  const env = { DATABASE_URL: await createDatabase(postgres.url) }
  let workers = 0
  await build(
    t,
    { ...env, WORKER_CONCURRENCY: '1' },
    fp(async (app: FastifyInstance) => {
      await app.register(metrics)
      await app.register(database)
      await app.register(store)
      await app.register(queue)
      const { createWorker } = app.runQueue
      app.runQueue.createWorker = (processor) => (++workers === 1 ? lost(processor) : createWorker(processor))
      await app.register(worker)

      function lost(processor: ConstructorParameters<typeof Worker>[1]): Worker {
        const connection = { host: '127.0.0.1', port, connectionTimeoutMillis: 300 } as object
        const options = { autorun: false, connection }
        return new Worker(app.config.QUEUE_NAME, processor, options, createPostgresBackend as never)
      }
    }),
  )
  const producer = await build(t, { ...env, WORKERS: '0' })
  const { status, attempts } = await untilEnded(producer, await enqueue(producer, { tool: 'document_stats' }))
  t.match({ status, attempts }, { status: 'completed', attempts: 1 })
  // On a slow machine the second one may miss its deadline too.
  t.ok(workers > 1, `${workers} workers`)
})

t.test('a plugin that misses one of its dependencies refuses to start', async (t) => {
  await t.rejects(
    build(
      t,
      { DATABASE_URL: postgres.url },
      fp(async (app: FastifyInstance) => void (await app.register(worker))),
    ),
    { code: 'FST_ERR_PLUGIN_DEPENDENCY_NOT_REGISTERED', message: /'metrics' of plugin 'worker'/ },
  )
})
