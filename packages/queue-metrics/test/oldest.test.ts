import { DelayedError } from 'bullmq'
import t from 'tap'
import { build, closing, run, runOnEachBackend, scrape, test, until } from './helpers.ts'

test('the oldest waiting job is the one that has been due for longest, whatever its priority', async (t, {
  broker,
  nextQueue,
}) => {
  const queue = closing(t, broker.queue(nextQueue()))
  const app = await build(t, { queues: [queue] })
  const oldest = async () => (await scrape(app)).get('queue_oldest_waiting_seconds')
  const createdAgo = (seconds: number) => Date.now() - seconds * 1_000
  const isAbout = async (seconds: number, message: string) => {
    const age = await oldest()
    t.ok(age >= seconds && age < seconds + 40, `${message}: ${age}`)
  }

  t.equal(await oldest(), 0, 'nothing waits')
  await queue.add('not due', {}, { timestamp: createdAgo(9_000), delay: 18_000_000 })
  t.equal(await oldest(), 0, 'a delayed job could not run')
  await queue.add('urgent', {}, { timestamp: createdAgo(10), priority: 1 })
  await isAbout(10, 'of one priority')
  for (let index = 0; index < 15; index++) await queue.add('urgent', {}, { timestamp: createdAgo(9), priority: 1 })
  await queue.add('later', {}, { timestamp: createdAgo(100), priority: 5 })
  await queue.add('later', {}, { timestamp: createdAgo(50), priority: 5 })
  await isAbout(100, 'of a lower priority, behind many')
  await queue.add('last', {}, { timestamp: createdAgo(200), priority: 2_000_000 })
  await isAbout(200, 'of the lowest priority')
  await queue.add('soon', {}, { timestamp: createdAgo(250), priority: 3 })
  await isAbout(250, 'of a priority in between')
  await queue.add('plain', {}, { timestamp: createdAgo(300) })
  await queue.add('plain', {}, { timestamp: createdAgo(1) })
  await isAbout(300, 'of no priority')
  await queue.add('due', {}, { timestamp: createdAgo(800), delay: 400_000 })
  await isAbout(400, 'of a delay that has ended, though no worker has asked')
  t.equal((await scrape(app)).get('queue_jobs', { state: 'delayed' }), 2)

  // A worker of a paused queue moves what is due, and takes nothing.
  await queue.pause()
  closing(t, broker.worker(queue.name, run))
  await until(async () => (await scrape(app)).get('queue_jobs', { state: 'delayed' }) === 1)
  await isAbout(400, 'of a delay that has ended')
  await queue.resume()
  await until(async () => (await scrape(app)).get('queue_length') === 0)
  t.equal(await oldest(), 0, 'all have run')
})

test('the oldest job of a queue that runs the newest first is its last', async (t, { broker, nextQueue }) => {
  const queue = closing(t, broker.queue(nextQueue()))
  const app = await build(t, { queues: [queue] })
  for (let seconds = 120; seconds > 0; seconds -= 5) {
    await queue.add('plain', {}, { timestamp: Date.now() - seconds * 1_000, lifo: true })
  }

  const age = (await scrape(app)).get('queue_oldest_waiting_seconds')
  t.ok(age >= 120 && age < 160, `${age}`)
})

test('a retried job that waits has been due since its backoff ended', async (t, { broker, nextQueue }) => {
  const queue = closing(t, broker.queue(nextQueue()))
  const worker = closing(t, broker.worker(queue.name, run))
  const app = await build(t, { queues: [queue], workers: [worker] })

  await queue.add('again', { failures: 1 }, { timestamp: Date.now() - 60_000, attempts: 2, backoff: 5_000 })
  await until(async () => (await scrape(app)).get('queue_task_retries_total') === 1)
  await worker.close()
  t.equal((await scrape(app)).get('queue_oldest_waiting_seconds'), 0, 'not while it backs off')
  await until(async () => (await scrape(app)).get('queue_oldest_waiting_seconds') > 0)

  const age = (await scrape(app)).get('queue_oldest_waiting_seconds')
  t.ok(age < 30, `${age} s, not the minute since the job was created`)
})

test('a postponed job that waits again has been due since it came back', async (t, { broker, nextQueue }) => {
  const queue = closing(t, broker.queue(nextQueue()))
  const worker = broker.worker(queue.name, async (job, token) => {
    await job.moveToDelayed(Date.now() + 3_000, token)
    throw new DelayedError()
  })
  const app = await build(t, { queues: [queue] })
  const state = async (state: string) => (await scrape(app)).get('queue_jobs', { state })

  await queue.add('postponed', {}, { timestamp: Date.now() - 3_600_000 })
  await until(async () => (await state('delayed')) === 1)
  await worker.close()
  await queue.pause()
  // A worker of a paused queue moves what is due, and takes nothing.
  closing(t, broker.worker(queue.name, run))
  await until(async () => (await state('waiting')) === 1)
  const age = (await scrape(app)).get('queue_oldest_waiting_seconds')
  t.ok(age < 60, `${age} s, not the hour since the job was created`)
})

runOnEachBackend(t)
