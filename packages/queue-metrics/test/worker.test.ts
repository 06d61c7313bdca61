import { setTimeout as sleep } from 'node:timers/promises'
import { assertDocumented } from '@data20/dev-services'
import { DelayedError, type Job, RateLimitError, WaitingChildrenError, WaitingError } from 'bullmq'
import t from 'tap'
import type { Task } from './fixtures/backends.ts'
import { build, closing, run, runOnEachBackend, scrape, sum, test, until } from './helpers.ts'

/** The kinds of jobs, and how often each comes in ten. */
const KINDS: Array<{ name: string; data: Task; opts: object }> = [
  { name: 'fails', data: { failures: 9 }, opts: {} },
  { name: 'recovers', data: { failures: 2 }, opts: { attempts: 3, backoff: 50 } },
  { name: 'gives up', data: { failures: 9 }, opts: { attempts: 2 } },
  { name: 'unrecoverable', data: { unrecoverable: true }, opts: { attempts: 5 } },
  { name: 'delayed', data: {}, opts: { delay: 500 } },
  { name: 'prioritized', data: {}, opts: { priority: 2 } },
  { name: 'prioritized later', data: { failures: 1 }, opts: { priority: 7, delay: 300, attempts: 2 } },
  { name: 'last in, first out', data: {}, opts: { lifo: true } },
  { name: 'slow', data: { runMs: 20 }, opts: {} },
  { name: 'plain', data: {}, opts: {} },
]

function createJob(index: number): { name: string; data: Task; opts: object } {
  return KINDS[index % KINDS.length]!
}

test('200 jobs over two processes are counted as BullMQ counts them', async (t, {
  broker,
  nextQueue,
  startWorkerProcess,
}) => {
  const name = nextQueue()
  const queue = closing(t, broker.queue(name))
  const processes = await Promise.all([startWorkerProcess(t, name), startWorkerProcess(t, name)])

  await queue.addBulk(Array.from({ length: 200 }, (_, index) => createJob(index)))
  await until(async () => {
    const { completed = 0, failed = 0 } = await queue.getJobCounts()
    return completed + failed === 200
  }, 60_000)
  // The events follow the broker's own counts.
  await until(async () => {
    const expositions = await Promise.all(processes.map(({ scrape }) => scrape()))
    return sum(expositions, 'queue_tasks_total') === 200 && sum(expositions, 'queue_tasks_active') === 0
  })

  const expositions = await Promise.all(processes.map(({ scrape }) => scrape()))
  const ended = { completed: await queue.getJobs(['completed']), failed: await queue.getJobs(['failed']) }
  const jobs = [...ended.completed, ...ended.failed]
  const counts = await queue.getJobCounts()
  const [completed, failed] = await Promise.all([queue.getMetrics('completed'), queue.getMetrics('failed')])
  const attempts = jobs.reduce((sum, { attemptsMade }) => sum + attemptsMade, 0)

  t.equal(jobs.length, 200)
  t.equal(sum(expositions, 'queue_tasks_total', { status: 'completed' }), counts.completed)
  t.equal(sum(expositions, 'queue_tasks_total', { status: 'completed' }), completed.meta.count)
  t.equal(sum(expositions, 'queue_tasks_total', { status: 'failed' }), counts.failed)
  t.equal(sum(expositions, 'queue_tasks_total', { status: 'failed' }), failed.meta.count)
  t.equal(sum(expositions, 'queue_task_retries_total'), attempts - 200)
  t.equal(sum(expositions, 'queue_task_duration_seconds_count'), attempts)
  t.equal(sum(expositions, 'queue_task_wait_seconds_count'), 200)
  t.equal(sum(expositions, 'queue_tasks_active'), 0)
  for (const { name } of KINDS) {
    for (const status of ['completed', 'failed'] as const) {
      const jobsOfKind = ended[status].filter((job) => job.name === name)
      const counted = sum(expositions, 'queue_tasks_total', { status, task_name: name })
      t.equal(counted, jobsOfKind.length, `${name} ${status}`)
    }
  }
  for (const exposition of expositions) {
    t.ok(sum([exposition], 'queue_tasks_total') > 0, 'both processes had work')
    t.equal(sum([exposition], 'queue_jobs', { state: 'completed' }), counts.completed)
    t.equal(sum([exposition], 'queue_jobs', { state: 'failed' }), counts.failed)
    t.equal(sum([exposition], 'queue_length'), 0)
    t.equal(sum([exposition], 'queue_workers'), 2)
  }
})

test('the waiting time leaves out a delay, and is of the first attempt only', async (t, { broker, nextQueue }) => {
  const name = nextQueue()
  const queue = closing(t, broker.queue(name))
  const worker = closing(t, broker.worker(name, run))
  const app = await build(t, { workers: [worker] })
  await worker.waitUntilReady()

  await queue.add('delayed', {}, { delay: 3_000 })
  await queue.add('delayed and prioritized', {}, { delay: 3_000, priority: 3 })
  await queue.add('retried', { failures: 1 }, { attempts: 2, backoff: 3_000 })
  await queue.upsertJobScheduler('every', { every: 1_000 }, { name: 'scheduled' })
  await until(
    async () => (await scrape(app)).get('queue_tasks_total', { task_name: 'scheduled', status: 'completed' }) >= 3,
  )
  await queue.removeJobScheduler('every')
  await queue.add('busy', { runMs: 1_200 })
  const behind = [await queue.add('behind', {}), await queue.add('behind with priority', {}, { priority: 1 })]
  await until(async () => (await scrape(app)).get('queue_tasks_total', { task_name: 'behind with priority' }) === 1)

  const exposition = await scrape(app)
  for (const task_name of ['delayed', 'delayed and prioritized', 'retried', 'scheduled']) {
    const count = exposition.get('queue_task_wait_seconds_count', { task_name })
    const seconds = exposition.get('queue_task_wait_seconds_sum', { task_name })
    t.equal(count, task_name === 'scheduled' ? count : 1, `${task_name} is observed once`)
    t.ok(seconds / count < 2.5, `${task_name} waited ${seconds / count} s`)
  }
  t.equal(exposition.get('queue_task_retries_total', { task_name: 'retried' }), 1)
  for (const { id, name: task_name } of behind) {
    const { timestamp, processedOn = 0 } = (await queue.getJob(id!))!
    const seconds = exposition.get('queue_task_wait_seconds_sum', { task_name })
    t.equal(Math.round(seconds * 1_000), processedOn - timestamp, `${task_name} waited ${seconds} s`)
  }
})

test('a job whose process is killed is counted as stalled and by the process that ends it', async (t, {
  broker,
  nextQueue,
  startWorkerProcess,
}) => {
  const name = nextQueue()
  const queue = closing(t, broker.queue(name))
  const options = { lockDuration: 1_000, stalledInterval: 500, maxStalledCount: 1 }
  const victim = await startWorkerProcess(t, name, options)
  await queue.add('hard', { runMs: 2_000 })
  await victim.hasStarted('hard')
  victim.child.kill('SIGKILL')

  const worker = closing(
    t,
    broker.worker(name, async () => {}, options),
  )
  const app = await build(t, { queues: [queue], workers: [worker] })
  await until(async () => (await scrape(app)).get('queue_tasks_total', { status: 'completed' }) === 1)

  const exposition = await scrape(app)
  t.equal(exposition.get('queue_tasks_stalled_total'), 1)
  t.equal(exposition.get('queue_tasks_total', { status: 'failed' }), 0)
  t.equal(exposition.get('queue_task_wait_seconds_count'), 0, 'the first attempt was the other process’s')
  t.equal(exposition.get('queue_task_duration_seconds_count'), 1)
  t.equal(exposition.get('queue_tasks_active'), 0)
})

test('a job that stalls too often is counted as failed, and as no attempt', async (t, {
  broker,
  nextQueue,
  startWorkerProcess,
}) => {
  const name = nextQueue()
  const queue = closing(t, broker.queue(name))
  const options = { lockDuration: 1_000, stalledInterval: 500, maxStalledCount: 0 }
  const victim = await startWorkerProcess(t, name, options)
  await queue.add('hard', { runMs: 2_000 }, { attempts: 5 })
  await victim.hasStarted('hard')
  victim.child.kill('SIGKILL')

  const worker = closing(
    t,
    broker.worker(name, async () => {}, options),
  )
  const app = await build(t, { workers: [worker] })
  await until(async () => (await queue.getJobCounts()).failed === 1)
  await until(async () => (await scrape(app)).get('queue_tasks_total', { status: 'failed' }) === 1)

  const exposition = await scrape(app)
  t.equal(exposition.get('queue_tasks_stalled_total'), 1)
  t.equal(exposition.get('queue_task_retries_total'), 0)
  t.equal(exposition.get('queue_task_duration_seconds_count'), 0)
  t.equal(exposition.get('queue_tasks_active'), 0)
})

test('working time is observed once for each attempt, and the active gauge returns to 0, however it ends', async (t, {
  broker,
  nextQueue,
}) => {
  const queue = closing(t, broker.queue(nextQueue()))
  const children = closing(t, broker.queue(nextQueue()))
  const endings: Record<string, (job: Job<Task>, token?: string) => Promise<void>> = {
    async failing() {
      throw new TypeError('failed')
    },
    async delayed(job, token) {
      await job.moveToDelayed(Date.now() + 200, token)
      throw new DelayedError()
    },
    async limited() {
      await queue.rateLimit(200)
      throw new RateLimitError()
    },
    async 'back to wait'(job, token) {
      await job.moveToWait(token)
      throw new WaitingError()
    },
    async parent(job, token) {
      await children.add('child', {}, { parent: { id: job.id!, queue: job.queueQualifiedName } })
      await job.moveToWaitingChildren(token!)
      throw new WaitingChildrenError()
    },
  }
  let calls = 0
  const worker = closing(
    t,
    broker.worker(queue.name, async (job, token) => {
      calls += 1
      await sleep(300)
      if (job.attemptsStarted === 1) await endings[job.name]?.(job, token)
    }),
  )
  const app = await build(t, { workers: [worker] })
  const active = async () => (await scrape(app)).get('queue_tasks_active')

  for (const name of ['completed', ...Object.keys(endings)]) {
    await queue.add(name, {})
    await until(async () => (await active()) === 1)
    await until(async () => (await active()) === 0)
    // The second attempt starts when its delay has ended, or at once.
    if (name !== 'completed' && name !== 'failing' && name !== 'parent') {
      await until(async () => (await scrape(app)).get('queue_tasks_total', { task_name: name }) === 1)
    }
  }

  const exposition = await scrape(app)
  for (const task_name of ['delayed', 'limited', 'back to wait']) {
    t.equal(exposition.get('queue_task_duration_seconds_count', { task_name }), 2, `${task_name}: two attempts`)
    t.ok(exposition.get('queue_task_duration_seconds_sum', { task_name }) >= 0.59, `${task_name}: both worked`)
    t.equal(exposition.get('queue_task_wait_seconds_count', { task_name }), 1, `${task_name} waited once`)
  }
  t.equal(exposition.get('queue_task_duration_seconds_count', { task_name: 'parent' }), 1)
  t.equal(exposition.get('queue_task_duration_seconds_count'), calls)
  t.equal(exposition.get('queue_task_errors_total'), 1, 'a postponement is no error')
  t.equal(exposition.get('queue_task_errors_total', { task_name: 'failing', error: 'TypeError' }), 1)
})

test('working time of a lost lock and of a worker closed by force is observed when the processor returns', async (t, {
  broker,
  nextQueue,
}) => {
  const queue = closing(t, broker.queue(nextQueue()))
  let release = () => {}
  const released = new Promise<void>((resolve) => (release = resolve))
  const worker = closing(
    t,
    broker.worker(
      queue.name,
      async (job) => {
        if (job.name === 'robbed of its lock') await sleep(3_000)
        if (job.name === 'kept') await released
      },
      // Locks are lost at once when nobody renews them.
      { concurrency: 4, lockDuration: 1_000, skipLockRenewal: true, stalledInterval: 200, maxStalledCount: 0 },
    ),
  )
  const app = await build(t, { workers: [worker] })
  const get = async (name: string, task_name: string) => (await scrape(app)).get(name, { task_name })

  await queue.add('robbed of its lock', {})
  await until(async () => (await get('queue_tasks_active', 'robbed of its lock')) === 1)
  await until(async () => (await queue.getJobCounts()).failed === 1)
  await until(async () => (await get('queue_tasks_active', 'robbed of its lock')) === 0)
  t.equal(await get('queue_task_duration_seconds_count', 'robbed of its lock'), 1)
  t.ok((await get('queue_task_duration_seconds_sum', 'robbed of its lock')) >= 2.9)

  await queue.add('kept', {})
  await until(async () => (await get('queue_tasks_active', 'kept')) === 1)
  await worker.close(true)
  t.equal(await get('queue_tasks_active', 'kept'), 0, 'closed by force')
  t.equal(await get('queue_task_duration_seconds_count', 'kept'), 0, 'it still runs')
  release()
  await until(async () => (await get('queue_task_duration_seconds_count', 'kept')) === 1)
  t.equal(await get('queue_tasks_active', 'kept'), 0)
})

test('a job that was retried by hand counts its first wait only, also when its starts were reset', async (t, {
  broker,
  nextQueue,
}) => {
  const queue = closing(t, broker.queue(nextQueue()))
  const worker = closing(t, broker.worker(queue.name, run))
  const app = await build(t, { workers: [worker] })
  const count = async (name: string) => (await scrape(app)).get(`queue_${name}`)

  const failed = await queue.add('again', { failures: 9 })
  const completed = await queue.add('again', {})
  await until(async () => (await count('tasks_total')) === 2)
  await (await queue.getJob(failed.id!))!.retry('failed', { resetAttemptsStarted: true })
  await (await queue.getJob(completed.id!))!.retry('completed', { resetAttemptsStarted: true })
  await until(async () => (await count('tasks_total')) === 4)
  t.equal(await count('task_wait_seconds_count'), 2)
  t.equal(await count('task_duration_seconds_count'), 4)
})

test('a sandboxed processor is measured, also when its process dies', async (t, { broker, nextQueue }) => {
  const queue = closing(t, broker.queue(nextQueue()))
  const file = new URL('./fixtures/sandboxed.mjs', import.meta.url)
  const worker = closing(t, broker.worker(queue.name, file as never, { workerForkOptions: { execArgv: [] } }))
  const app = await build(t, { workers: [worker] })

  await queue.addBulk(['completed', 'fails', 'dies'].map((name) => ({ name, data: {} })))
  await until(async () => (await scrape(app)).get('queue_tasks_total') === 3)
  const exposition = await scrape(app)
  t.equal(exposition.get('queue_task_duration_seconds_count'), 3)
  t.equal(exposition.get('queue_tasks_active'), 0)
  t.equal(exposition.get('queue_task_errors_total', { task_name: 'fails', error: 'TypeError' }), 1)
  t.equal(exposition.get('queue_task_errors_total', { task_name: 'dies', error: 'Error' }), 1)
  assertDocumented(t, {
    library: 'bullmq',
    counted:
      'attempts, outcomes and errors of a Worker, of a sandboxed processor and of `getNextJob()`; jobs added by a Queue, by a FlowProducer and by job schedulers; the state of a Queue; on Redis and on PostgreSQL',
    notCounted:
      'jobs that are moved through other objects than their worker; whether deduplication merged an added job; groups and batches of BullMQ Pro, not tested',
  })
})

runOnEachBackend(t)
