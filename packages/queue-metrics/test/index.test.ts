import { metricsCore } from '@data20/metrics-core'
import Fastify from 'fastify'
import t from 'tap'
import { queueMetrics } from '../src/index.ts'
import { build, closing, run, runOnEachBackend, scrape, test, until } from './helpers.ts'

t.test('what is neither a queue nor a worker is refused', async (t) => {
  const app = await build(t)
  t.throws(() => app.queueMetrics.observe(new Map() as never), {
    code: 'QUEUE_METRICS_ERR_UNWATCHABLE',
    message: 'Expected a Queue, a Worker or a FlowProducer of BullMQ 6, got an instance of Map',
  })
  t.throws(() => app.queueMetrics.observe(undefined as never), { code: 'QUEUE_METRICS_ERR_UNWATCHABLE' })
  for (const options of [
    { queues: {} },
    { workers: 'mail' },
    { flowProducers: 'mail' },
    { queueLabel: 'mail' },
    { taskNames: { mail: 'welcome' } },
    { waitBuckets: [2, 1] },
  ]) {
    const option = Object.keys(options)[0]!
    await t.rejects(build(t, options as never), { code: 'METRICS_ERR_OPTION', message: new RegExp(`\`${option}`) })
  }
})

test('job names beyond the cardinality limit share a series, known ones keep theirs', async (t, {
  broker,
  nextQueue,
}) => {
  const queue = closing(t, broker.queue(nextQueue()))
  const worker = closing(t, broker.worker(queue.name, run))
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(metricsCore, { maxSeries: 6 })
  await app.register(queueMetrics, { queues: [queue], workers: [worker], taskNames: { [queue.name]: ['known'] } })

  await queue.addBulk(Array.from({ length: 20 }, (_, index) => ({ name: `job ${index}`, data: {} })))
  await queue.add('known', {})
  await until(async () => (await scrape(app)).get('queue_tasks_total') === 21)

  const exposition = await scrape(app)
  t.equal(exposition.get('queue_tasks_total', { task_name: 'known', status: 'completed' }), 1)
  t.equal(exposition.get('queue_tasks_total', { task_name: '__overflow__' }), 17)
  t.equal(exposition.get('queue_tasks_active'), 0)
  t.equal(exposition.get('queue_up', { queue: queue.name }), 1)
})

test('two applications that watch one worker share nothing, and watching twice counts once', async (t, {
  broker,
  nextQueue,
}) => {
  const queue = closing(t, broker.queue(nextQueue()))
  const worker = closing(t, broker.worker(queue.name, run))
  const first = await build(t, { queues: [queue], workers: [worker] })
  first.queueMetrics.observe(worker)
  first.queueMetrics.observe(queue)
  const second = await build(t)
  second.queueMetrics.observe(worker)

  await queue.add('task', {})
  await until(async () => (await scrape(second)).get('queue_tasks_total') === 1)
  t.equal((await scrape(first)).get('queue_tasks_total'), 1)
  t.equal((await scrape(first)).get('queue_task_duration_seconds_count'), 1)
  t.equal((await scrape(first)).get('metrics_collector_success', { collector: `queue:${queue.name}` }), 1)
  t.notOk((await scrape(first)).has('metrics_collector_success', { collector: `queue:${queue.name}_2` }))

  await first.close()
  await queue.add('task', {})
  await until(async () => (await scrape(second)).get('queue_task_duration_seconds_count') === 2)
  await second.close()
  for (const event of ['active', 'completed', 'failed', 'stalled', 'closed']) {
    t.equal(worker.listenerCount(event), 0, `nobody listens to ${event}`)
  }
  await queue.add('task', {})
  await until(async () => (await queue.getJobCounts()).completed === 3)
})

t.test('an option that does not exist fails with the name that is meant', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(async () => void (await app.register(queueMetrics, { queue: [] } as object)), {
    code: 'METRICS_ERR_UNKNOWN_OPTION',
    message: /queue-metrics, got `queue`; did you mean `queues`/,
  })
})

runOnEachBackend(t)
