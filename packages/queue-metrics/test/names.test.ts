import type { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { connect, type Task } from './fixtures/backends.ts'
import { type Backend, build, closing, run, runOnEachBackend, scrape, test, until } from './helpers.ts'

const REFUSED = { code: 'QUEUE_METRICS_ERR_QUEUE_NAME', message: /option `queueLabel`/ }

/** Makes queues of one name that are not the same queue. */
function strangers(t: Test, { broker, service }: Backend, name: string): Array<Queue<Task>> {
  if (!service.url.startsWith('redis')) {
    const connection = { connectionString: service.url, schema: 'staging', migrate: true, max: 2 }
    return [closing(t, broker.queue(name, { connection } as never))]
  }
  const connection = { url: `${service.url}/1`, maxRetriesPerRequest: null }
  // Its server does not answer.
  const elsewhere = connect('PostgreSQL', 'postgres://nobody@127.0.0.1:1/none').queue(name)
  t.teardown(() => elsewhere.disconnect())
  return [
    closing(t, broker.queue(name, { prefix: 'staging' })),
    closing(t, broker.queue(name, { connection })),
    elsewhere,
  ]
}

test('two queues of one name are refused unless queueLabel tells them apart', async (t, backend) => {
  const { broker, nextQueue } = backend
  const queue = closing(t, broker.queue(nextQueue()))
  const others = strangers(t, backend, queue.name)
  const app = await build(t, { queues: [queue] })
  for (const other of others) {
    t.throws(() => app.queueMetrics.observe(other), REFUSED)
    await t.rejects(build(t, { queues: [other, queue] }), REFUSED)
  }

  const labelled = await build(t, {
    queues: [queue, others[0]!],
    queueLabel: (target) => (target === others[0] ? 'staging' : target.name),
  })
  await queue.addBulk([1, 2, 3].map(() => ({ name: 'task', data: {} })))
  await others[0]!.add('task', {})
  const exposition = await scrape(labelled)
  t.equal(exposition.get('queue_length', { queue: queue.name }), 3)
  t.equal(exposition.get('queue_length', { queue: 'staging' }), 1)
  t.equal(exposition.get('queue_tasks_added_total', { queue: 'staging' }), 1)
})

test('a queue and workers of it are the same, however they are connected', async (t, {
  broker,
  nextQueue,
  service,
}) => {
  const queue = closing(t, broker.queue(nextQueue()))
  const { hostname, port, pathname, username, password } = new URL(service.url)
  let connection: object
  if (service.url.startsWith('redis')) {
    const client = new Redis(Number(port), 'localhost', { maxRetriesPerRequest: null })
    t.teardown(() => client.disconnect())
    connection = client
  } else {
    const database = pathname.slice(1)
    const pool = {
      host: hostname,
      port: Number(port),
      user: username,
      password: decodeURIComponent(password),
      database,
    }
    connection = pool
  }
  const again = closing(t, broker.queue(queue.name, { connection } as never))
  const app = await build(t, { queues: [queue, again], workers: [closing(t, broker.worker(queue.name, run))] })

  await again.add('task', {})
  await until(async () => (await scrape(app)).get('queue_tasks_total') === 1)
  t.equal((await scrape(app)).get('queue_tasks_added_total'), 1)
})

test('a name is free again once its queue or worker is closed', async (t, backend) => {
  const { broker, nextQueue } = backend
  const name = nextQueue()
  const first = broker.queue(name)
  const worker = broker.worker(name, run)
  const [other] = strangers(t, backend, name)
  const app = await build(t, { queues: [first], workers: [worker] })
  await first.add('task', {}, { delay: 60_000 })
  t.equal((await scrape(app)).get('queue_jobs', { state: 'delayed' }), 1)

  await first.close()
  t.throws(() => app.queueMetrics.observe(other!), REFUSED, 'the worker still has it')
  await worker.close()
  app.queueMetrics.observe(other!)
  await until(async () => (await scrape(app)).get('queue_up') === 1)
  await until(async () => (await scrape(app)).get('queue_jobs', { state: 'delayed' }) === 0)
  t.ok((await scrape(app)).has('queue_jobs', { queue: name, state: 'delayed' }))
})

runOnEachBackend(t)
