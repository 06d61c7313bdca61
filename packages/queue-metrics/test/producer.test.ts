import { UnrecoverableError } from 'bullmq'
import t from 'tap'
import { build, closing, run, runOnEachBackend, scrape, test, until } from './helpers.ts'

test('what this process adds is counted: jobs, bulks, flows and the jobs of schedulers', async (t, {
  broker,
  nextQueue,
}) => {
  const queue = closing(t, broker.queue(nextQueue()))
  const other = nextQueue()
  const producer = closing(t, broker.flowProducer())
  const worker = closing(t, broker.worker(queue.name, run))
  const app = await build(t, { queues: [queue], workers: [worker], flowProducers: [producer] })
  const added = async (labels: Record<string, string>) => (await scrape(app)).get('queue_tasks_added_total', labels)

  await queue.add('one', {})
  await queue.addBulk(Array.from({ length: 5 }, () => ({ name: 'bulk', data: {} })))
  await t.rejects(queue.add('refused', {}, { jobId: '12' }))
  await producer.add({
    name: 'parent',
    queueName: queue.name,
    children: [1, 2, 3].map(() => ({ name: 'child', queueName: other })),
  })
  await producer.addBulk([{ name: 'alone', queueName: other }])
  await queue.add('twice', {}, { deduplication: { id: 'twice' }, delay: 60_000 })
  await queue.add('twice', {}, { deduplication: { id: 'twice' }, delay: 60_000 })

  t.equal(await added({ queue: queue.name, task_name: 'one' }), 1)
  t.equal(await added({ queue: queue.name, task_name: 'bulk' }), 5)
  t.equal(await added({ queue: queue.name, task_name: 'parent' }), 1)
  t.equal(await added({ queue: other, task_name: 'child' }), 3)
  t.equal(await added({ queue: other, task_name: 'alone' }), 1)
  t.equal(await added({ queue: queue.name, task_name: 'twice' }), 2, 'merged ones included')
  t.notOk((await scrape(app)).has('queue_tasks_added_total', { task_name: 'refused' }))

  await queue.upsertJobScheduler('every', { every: 500 }, { name: 'scheduled' })
  t.ok((await added({ task_name: 'scheduled' })) >= 1)
  await until(async () => (await scrape(app)).get('queue_tasks_total', { task_name: 'scheduled' }) >= 3)
  await queue.removeJobScheduler('every')
  await until(async () => (await queue.getJobCounts()).delayed === 1)
  await until(async () => (await scrape(app)).get('queue_tasks_active') === 0)
  const ran = (await scrape(app)).get('queue_tasks_total', { task_name: 'scheduled' })
  t.equal(await added({ task_name: 'scheduled' }), ran + 1, 'each that ran, and the one that was removed')
})

test('errors are counted by class, the pause and the concurrency of the workers of this process are shown', async (t, {
  broker,
  nextQueue,
}) => {
  class PaymentError extends Error {}
  const errors = [new TypeError('a'), new PaymentError('b'), new UnrecoverableError('c'), 'd', new Error('e')]
  const queue = closing(t, broker.queue(nextQueue()))
  const worker = closing(
    t,
    broker.worker(
      queue.name,
      async ({ data }) => {
        throw errors[data.runMs!]
      },
      { concurrency: 3 },
    ),
  )
  const second = closing(t, broker.worker(queue.name, run, { autorun: false }))
  const app = await build(t, { workers: [worker, second] })
  const get = async (name: string, labels = {}) => (await scrape(app)).get(name, labels)

  t.equal(await get('queue_worker_concurrency'), 4)
  worker.concurrency = 7
  t.equal(await get('queue_worker_concurrency'), 8)
  await queue.addBulk(errors.map((_error, runMs) => ({ name: 'fails', data: { runMs } })))
  await until(async () => (await get('queue_tasks_total', { status: 'failed' })) === errors.length)
  for (const error of ['TypeError', 'PaymentError', 'UnrecoverableError', 'other', 'Error']) {
    t.equal(await get('queue_task_errors_total', { error }), 1, error)
  }

  t.equal(await get('queue_worker_paused'), 0)
  await worker.pause()
  t.equal(await get('queue_worker_paused'), 1)
  await worker.resume()
  t.equal(await get('queue_worker_paused'), 0)
  await second.close()
  t.equal(await get('queue_worker_concurrency'), 7)
  await worker.close()
  t.notOk((await scrape(app)).has('queue_worker_concurrency'), 'no worker is left')
})

runOnEachBackend(t)
