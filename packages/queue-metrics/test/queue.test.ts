import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { build, closing, type Exposition, run, runOnEachBackend, scrape, test, until } from './helpers.ts'

test('pause, length and the workers of all processes are shown', async (t, { broker, nextQueue }) => {
  const queue = closing(t, broker.queue(nextQueue()))
  const app = await build(t, { queues: [queue] })
  await queue.pause()
  const workers = [broker.worker(queue.name, run, { name: 'named' }), broker.worker(queue.name, run)]
  for (const worker of workers) await closing(t, worker).waitUntilReady()
  await queue.add('plain', {})
  await queue.add('urgent', {}, { priority: 1 })
  await queue.add('delayed', {}, { delay: 60_000 })

  const paused = await scrape(app)
  t.equal(paused.get('queue_paused'), 1)
  t.equal(paused.get('queue_workers'), 2)
  t.equal(paused.get('queue_length'), 2, 'waiting and prioritized, also while paused')
  t.equal(paused.get('queue_jobs', { state: 'waiting' }), 1)
  t.equal(paused.get('queue_jobs', { state: 'prioritized' }), 1)
  t.equal(paused.get('queue_jobs', { state: 'delayed' }), 1)

  await queue.resume()
  await workers[0]!.close()
  await until(async () => (await scrape(app)).get('queue_workers') === 1)
  await until(async () => (await scrape(app)).get('queue_length') === 0)
  t.equal((await scrape(app)).get('queue_paused'), 0)
})

test('a queue that the application has closed is no longer shown', async (t, { broker, nextQueue }) => {
  const queue = closing(t, broker.queue(nextQueue()))
  const app = await build(t, { queues: [queue] })
  t.equal((await scrape(app)).get('queue_up'), 1)

  await queue.close()
  await scrape(app)

  t.notOk((await scrape(app)).has('queue_up'))
  t.notOk((await scrape(app)).has('queue_jobs'))
})

test('of two queues with one name, the one that is closed takes nothing from the other', async (t, {
  broker,
  nextQueue,
}) => {
  const name = nextQueue()
  const [first, second] = [closing(t, broker.queue(name)), closing(t, broker.queue(name))]
  const app = await build(t, { queues: [first, second] }, 1_000)
  // Closed while it is read: the deadline finds it closed, and so does the end of the reading.
  const counts = await first.getJobCounts()
  let answer = () => {}
  first.getJobCounts = () => new Promise((resolve) => (answer = () => resolve(counts)))
  const reading = scrape(app)
  await first.close()
  await reading
  answer()

  await second.add('waits', {}, { delay: 60_000 })
  await until(async () => (await scrape(app)).get('queue_jobs', { state: 'delayed' }) === 1)
  t.equal((await scrape(app)).get('queue_up'), 1)
})

test('a broker that goes down between two questions shows as down', async (t, { broker, nextQueue }) => {
  const queue = closing(t, broker.queue(nextQueue()))
  const app = await build(t, { queues: [queue] }, 1_000)
  await until(async () => (await scrape(app)).get('queue_up') === 1)

  // As when the connection breaks behind the counts: the driver waits for another one, and the question with it.
  queue.isPaused = () => new Promise(() => {})
  await scrape(app)

  t.equal((await scrape(app)).get('queue_up'), 0)
})

test('a broker that is killed shows as down, and comes back', async (t, { broker, nextQueue, service }) => {
  const queue = closing(t, broker.queue(nextQueue()))
  const options = { lockDuration: 2_000, stalledInterval: 1_000, maxStalledCount: 3 }
  const worker = closing(t, broker.worker(queue.name, run, options))
  const app = await build(t, { queues: [queue], workers: [worker] }, 1_000)
  const completed = (task_name: string) => async () =>
    (await watched()).get('queue_tasks_total', { status: 'completed', task_name }) > 0
  let counted = 0
  await queue.add('before', {})
  await queue.add('delayed', {}, { delay: 600_000 })
  await until(completed('before'))
  // Long enough to be under way when the broker is killed, on a busy machine too: a reply lost with the connection is
  // no event.
  await queue.add('during', { runMs: 3_000 })
  await until(async () => (await watched()).get('queue_tasks_active', { task_name: 'during' }) === 1)
  t.equal((await watched()).get('queue_up'), 1)

  await service.kill()
  for (let scrapes = 0; scrapes < 4; scrapes++) {
    const down = await watched()
    t.equal(down.get('queue_up'), 0)
    t.equal(down.get('queue_jobs', { state: 'delayed' }), 1, 'the last values are kept')
    await sleep(200)
  }

  await service.restart()
  await until(async () => (await watched()).get('queue_up') === 1, 60_000)
  await queue.add('after', {})
  await until(completed('during'), 60_000)
  await until(completed('after'), 60_000)
  const after = await watched()
  t.equal(after.get('queue_jobs', { state: 'delayed' }), 1)
  t.equal(after.get('queue_jobs', { state: 'completed' }), 3)
  t.equal(after.get('queue_tasks_total', { status: 'completed' }), 3)
  t.equal(after.get('queue_tasks_active'), 0)

  /** A scrape that is in time and whose counter has not gone down. */
  async function watched(): Promise<Exposition> {
    const startMs = performance.now()
    const exposition = await scrape(app)
    const ms = performance.now() - startMs
    if (ms > 10_000) t.fail(`/metrics took ${ms} ms`)
    const total = exposition.get('queue_tasks_total')
    if (total < counted) t.fail(`queue_tasks_total went from ${counted} to ${total}`)
    counted = total
    return exposition
  }
})

test('what is not known is absent: the oldest job of another backend, a queue that never answered', async (t, {
  broker,
  nextQueue,
}) => {
  const other = closing(t, broker.queue(nextQueue()))
  const asked = other.getBackend()
  other.getBackend = () => ({ addJob: asked.addJob }) as never
  other.getWorkers = async () => [{ name: 'GCP does not support client list' }]
  const silent = closing(t, broker.queue(nextQueue()))
  silent.getJobCounts = () => new Promise(() => {})
  const app = await build(t, { queues: [other, silent] }, 1_000)
  await other.add('task', {})

  await until(async () => (await scrape(app)).get('queue_length', { queue: other.name }) === 1)
  const exposition = await scrape(app)
  t.equal(exposition.get('queue_up', { queue: other.name }), 1)
  t.notOk(exposition.has('queue_oldest_waiting_seconds', { queue: other.name }))
  t.notOk(exposition.has('queue_workers', { queue: other.name }))
  t.equal(exposition.get('metrics_collector_success', { collector: `queue:${silent.name}` }), 0)
  t.ok(exposition.has('queue_up', { queue: silent.name }))
  for (const name of ['length', 'jobs', 'oldest_waiting_seconds', 'workers', 'paused']) {
    t.notOk(exposition.has(`queue_${name}`, { queue: silent.name }), name)
  }
})

runOnEachBackend(t)
