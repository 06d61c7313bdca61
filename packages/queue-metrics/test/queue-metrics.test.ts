import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ExpositionSample,
  readSamples,
  startPostgres,
  startRedis,
  temporaryFolder,
  until as untilNamed,
} from '@data20/dev-services'
import { metricsCore } from '@data20/metrics-core'
import { DelayedError, type Queue, UnrecoverableError, type Worker } from 'bullmq'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { type QueueMetricsOptions, queueMetrics } from '../src/index.ts'
import { type BackendName, connect, type Task } from './fixtures/backends.ts'

/** Names, labels and help are public API: a change here is a change for everybody's dashboards. */
const EXPOSITION = `# HELP queue_tasks_total Tasks that this process ended for good: completed, or failed with no attempt left.
# TYPE queue_tasks_total counter
queue_tasks_total{queue="mail",status="completed",task_name="welcome"} 0
queue_tasks_total{queue="mail",status="failed",task_name="welcome"} 0
# HELP queue_task_retries_total Attempts that failed in this process and will be tried again.
# TYPE queue_task_retries_total counter
queue_task_retries_total{queue="mail",task_name="welcome"} 0
# HELP queue_task_duration_seconds Time that this process worked on an attempt, however it ended.
# TYPE queue_task_duration_seconds histogram
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="0.01"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="0.05"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="0.1"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="0.5"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="1.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="5.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="10.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="30.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="60.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="120.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="300.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="600.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="1800.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="+Inf"} 0
queue_task_duration_seconds_sum{queue="mail",task_name="welcome"} 0
queue_task_duration_seconds_count{queue="mail",task_name="welcome"} 0
# HELP queue_task_wait_seconds Time from when a task was due to when its first attempt started; a delay that was asked for is left out.
# TYPE queue_task_wait_seconds histogram
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="0.05"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="0.1"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="0.25"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="0.5"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="1.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="2.5"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="5.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="10.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="30.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="60.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="120.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="300.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="600.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="1800.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="+Inf"} 0
queue_task_wait_seconds_sum{queue="mail",task_name="welcome"} 0
queue_task_wait_seconds_count{queue="mail",task_name="welcome"} 0
# HELP queue_tasks_active Tasks that this process is running now.
# TYPE queue_tasks_active gauge
queue_tasks_active{queue="mail",task_name="welcome"} 0
# HELP queue_tasks_stalled_total Tasks whose worker was lost, found by this process and put back into the queue.
# TYPE queue_tasks_stalled_total counter
queue_tasks_stalled_total{queue="mail"} 0
# HELP queue_length Jobs ready to run and not yet taken, those with a priority included. The same in every process: take the maximum, not the sum.
# TYPE queue_length gauge
queue_length{queue="mail"} 0
# HELP queue_jobs Jobs in the queue by state. The same in every process: take the maximum, not the sum.
# TYPE queue_jobs gauge
queue_jobs{queue="mail",state="waiting"} 0
queue_jobs{queue="mail",state="prioritized"} 0
queue_jobs{queue="mail",state="active"} 0
queue_jobs{queue="mail",state="delayed"} 0
queue_jobs{queue="mail",state="failed"} 0
queue_jobs{queue="mail",state="completed"} 0
queue_jobs{queue="mail",state="waiting-children"} 0
# HELP queue_oldest_waiting_seconds Time that the oldest job that could run now has been due, whatever its priority; 0 when none waits.
# TYPE queue_oldest_waiting_seconds gauge
queue_oldest_waiting_seconds{queue="mail"} 0
# HELP queue_workers Workers connected to the queue, in all processes. The same in every process: take the maximum, not the sum.
# TYPE queue_workers gauge
queue_workers{queue="mail"} 1
# HELP queue_paused Whether the queue is paused for all workers.
# TYPE queue_paused gauge
queue_paused{queue="mail"} 0
# HELP queue_up Whether the broker answered in time; when it did not, the other values of the queue are the last known ones.
# TYPE queue_up gauge
queue_up{queue="mail"} 1
`

const starters = {
  Redis: () => startRedis({ appendOnly: true }),
  PostgreSQL: (t: Test) => startPostgres({ directory: temporaryFolder(t, 'queue-metrics') }),
}

// Side by side: they wait for most of the time.
t.jobs = 2
for (const [backend, start] of Object.entries(starters) as Array<[BackendName, typeof starters.PostgreSQL]>) {
  t.test(`on ${backend}`, { timeout: 290_000, buffered: true }, async (t) => {
    const service = await start(t)
    t.teardown(() => service.stop())
    const broker = connect(backend, service.url)
    let queues = 0
    const nextQueue = () => `queue-${++queues}`

    t.test('metrics have the names, labels and help of the catalogue, and start at zero', async (t) => {
      const queue = closing(t, broker.queue('mail'))
      const worker = closing(
        t,
        broker.worker('mail', async () => {}),
      )
      await worker.waitUntilReady()
      const app = await build(t, { queues: [queue], workers: [worker], taskNames: { mail: ['welcome'] } })

      const { body } = await app.inject('/metrics')

      t.equal(linesOfQueues(body), EXPOSITION)
    })

    t.test('500 jobs over two processes are counted as BullMQ counts them', async (t) => {
      const name = nextQueue()
      const queue = closing(t, broker.queue(name))
      const processes = await Promise.all([startWorkerProcess(t, name), startWorkerProcess(t, name)])

      await queue.addBulk(Array.from({ length: 500 }, (_, index) => createJob(index)))
      await until(async () => {
        const { completed = 0, failed = 0 } = await queue.getJobCounts()
        return completed + failed === 500
      }, 60_000)
      await sleep(100)

      const expositions = await Promise.all(processes.map(({ scrape }) => scrape()))
      const ended = { completed: await queue.getJobs(['completed']), failed: await queue.getJobs(['failed']) }
      const jobs = [...ended.completed, ...ended.failed]
      const counts = await queue.getJobCounts()
      const [completed, failed] = await Promise.all([queue.getMetrics('completed'), queue.getMetrics('failed')])
      const attempts = jobs.reduce((sum, { attemptsMade }) => sum + attemptsMade, 0)

      t.equal(jobs.length, 500)
      t.equal(sum(expositions, 'queue_tasks_total', { status: 'completed' }), counts.completed)
      t.equal(sum(expositions, 'queue_tasks_total', { status: 'completed' }), completed.meta.count)
      t.equal(sum(expositions, 'queue_tasks_total', { status: 'failed' }), counts.failed)
      t.equal(sum(expositions, 'queue_tasks_total', { status: 'failed' }), failed.meta.count)
      t.equal(sum(expositions, 'queue_task_retries_total'), attempts - 500)
      t.equal(sum(expositions, 'queue_task_duration_seconds_count'), attempts)
      t.equal(sum(expositions, 'queue_task_wait_seconds_count'), 500)
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

    t.test('the waiting time leaves out a delay, and is of the first attempt only', async (t) => {
      const name = nextQueue()
      const queue = closing(t, broker.queue(name))
      const worker = closing(t, broker.worker(name, run))
      const app = await build(t, { workers: [worker] })
      await worker.waitUntilReady()

      await queue.add('delayed', {}, { delay: 1_500 })
      await queue.add('delayed and prioritized', {}, { delay: 1_500, priority: 3 })
      await queue.add('retried', { failures: 1 }, { attempts: 2, backoff: 1_500 })
      await queue.upsertJobScheduler('every', { every: 1_000 }, { name: 'scheduled' })
      await until(
        async () => (await scrape(app)).get('queue_tasks_total', { task_name: 'scheduled', status: 'completed' }) >= 3,
      )
      await queue.removeJobScheduler('every')
      await queue.add('busy', { runMs: 1_200 })
      await queue.add('behind', {})
      await queue.add('behind with priority', {}, { priority: 1 })
      await until(async () => (await scrape(app)).get('queue_tasks_total', { task_name: 'behind with priority' }) === 1)

      const exposition = await scrape(app)
      for (const task_name of ['delayed', 'delayed and prioritized', 'retried', 'scheduled']) {
        const count = exposition.get('queue_task_wait_seconds_count', { task_name })
        const seconds = exposition.get('queue_task_wait_seconds_sum', { task_name })
        t.equal(count, task_name === 'scheduled' ? count : 1, `${task_name} is observed once`)
        t.ok(seconds / count < 0.5, `${task_name} waited ${seconds / count} s`)
      }
      t.equal(exposition.get('queue_task_retries_total', { task_name: 'retried' }), 1)
      for (const task_name of ['behind', 'behind with priority']) {
        const seconds = exposition.get('queue_task_wait_seconds_sum', { task_name })
        t.ok(seconds > 1 && seconds < 2, `${task_name} waited ${seconds} s`)
      }
    })

    t.test('the oldest waiting job is the one that has been due for longest, whatever its priority', async (t) => {
      const queue = closing(t, broker.queue(nextQueue()))
      const app = await build(t, { queues: [queue] })
      const oldest = async () => (await scrape(app)).get('queue_oldest_waiting_seconds')
      const createdAgo = (seconds: number) => Date.now() - seconds * 1_000
      const isAbout = async (seconds: number, message: string) => {
        const age = await oldest()
        t.ok(age >= seconds && age < seconds + 5, `${message}: ${age}`)
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

    t.test('the oldest job of a queue that runs the newest first is its last', async (t) => {
      const queue = closing(t, broker.queue(nextQueue()))
      const app = await build(t, { queues: [queue] })
      for (let seconds = 120; seconds > 0; seconds -= 5) {
        await queue.add('plain', {}, { timestamp: Date.now() - seconds * 1_000, lifo: true })
      }

      const age = (await scrape(app)).get('queue_oldest_waiting_seconds')
      t.ok(age >= 120 && age < 125, `${age}`)
    })

    t.test('a retried job that waits has been due since its backoff ended', async (t) => {
      const queue = closing(t, broker.queue(nextQueue()))
      const worker = closing(t, broker.worker(queue.name, run))
      const app = await build(t, { queues: [queue], workers: [worker] })

      await queue.add('again', { failures: 1 }, { timestamp: Date.now() - 60_000, attempts: 2, backoff: 2_000 })
      await until(async () => (await scrape(app)).get('queue_task_retries_total') === 1)
      await worker.close()
      t.equal((await scrape(app)).get('queue_oldest_waiting_seconds'), 0, 'not while it backs off')
      await sleep(3_000)

      const age = (await scrape(app)).get('queue_oldest_waiting_seconds')
      t.ok(age > 0.5 && age < 2.5, `${age}`)
    })

    t.test('pause, length and the workers of all processes are shown', async (t) => {
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

    t.test('a job whose process is killed is counted as stalled and by the process that ends it', async (t) => {
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

    t.test('a job that stalls too often is counted as failed, and as no attempt', async (t) => {
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

    t.test('the active gauge is 1 during a run and 0 after it, whatever became of the job', async (t) => {
      const queue = closing(t, broker.queue(nextQueue()))
      const worker: Worker<Task> = closing(
        t,
        broker.worker(
          queue.name,
          async (job, token) => {
            await sleep(job.data.runMs, undefined, { ref: false })
            if (job.name === 'failing') throw new Error('failed')
            if (job.name === 'postponed' && job.attemptsStarted === 1) {
              await job.moveToDelayed(Date.now() + 200, token)
              throw new DelayedError()
            }
            if (job.name === 'limited' && job.attemptsStarted === 1) {
              await queue.rateLimit(200)
              throw Object.assign(new Error('bullmq:rateLimitExceeded'), { name: 'RateLimitError' })
            }
          },
          // Locks are lost at once when nobody renews them.
          { concurrency: 4, lockDuration: 400, skipLockRenewal: true, stalledInterval: 200 },
        ),
      )
      const app = await build(t, { workers: [worker] })
      const active = async (task_name: string) => (await scrape(app)).get('queue_tasks_active', { task_name })

      for (const name of ['completed', 'failing', 'postponed', 'limited']) {
        await queue.add(name, { runMs: 300 })
        await until(async () => (await active(name)) === 1)
        await until(async () => (await active(name)) === 0)
      }
      await until(async () => (await queue.getJobCounts()).completed === 3)
      const exposition = await scrape(app)
      t.equal(exposition.get('queue_tasks_total', { task_name: 'postponed', status: 'completed' }), 1)
      t.equal(exposition.get('queue_task_duration_seconds_count', { task_name: 'postponed' }), 1, 'one attempt')
      t.equal(exposition.get('queue_task_wait_seconds_count', { task_name: 'postponed' }), 1)

      await queue.add('robbed of its lock', { runMs: 1_500 })
      await until(async () => (await active('robbed of its lock')) > 0)
      await until(async () => (await scrape(app)).get('queue_tasks_stalled_total') > 0)
      await until(async () => (await queue.getJobCounts()).failed === 2)
      await until(async () => (await active('robbed of its lock')) === 0)

      await queue.add('endless', { runMs: 600_000 })
      await until(async () => (await active('endless')) === 1)
      await worker.close(true)
      t.equal(await active('endless'), 0, 'closed by force')
    })

    t.test('job names beyond the cap share a series, known ones keep theirs', async (t) => {
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

    t.test('two applications that watch one worker share nothing, and watching twice counts once', async (t) => {
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

    t.test('a queue that the application has closed is no longer shown', async (t) => {
      const queue = closing(t, broker.queue(nextQueue()))
      const app = await build(t, { queues: [queue] })
      t.equal((await scrape(app)).get('queue_up'), 1)

      await queue.close()
      await scrape(app)

      t.notOk((await scrape(app)).has('queue_up'))
      t.notOk((await scrape(app)).has('queue_jobs'))
    })

    t.test('a broker that goes down between two questions shows as down', async (t) => {
      const queue = closing(t, broker.queue(nextQueue()))
      const app = await build(t, { queues: [queue] })
      t.equal((await scrape(app)).get('queue_up'), 1)

      // As when the connection breaks behind the counts: the driver waits for another one, and the question with it.
      queue.isPaused = () => new Promise(() => {})
      await scrape(app)

      t.equal((await scrape(app)).get('queue_up'), 0)
    })

    t.test('a broker that is killed shows as down, and comes back', async (t) => {
      const queue = closing(t, broker.queue(nextQueue()))
      const options = { lockDuration: 2_000, stalledInterval: 1_000, maxStalledCount: 3 }
      const worker = closing(t, broker.worker(queue.name, run, options))
      const app = await build(t, { queues: [queue], workers: [worker] })
      const completed = (task_name: string) => async () =>
        (await watched()).get('queue_tasks_total', { status: 'completed', task_name }) > 0
      let counted = 0
      await queue.add('before', {})
      await queue.add('delayed', {}, { delay: 600_000 })
      await until(completed('before'))
      // Long enough to be under way when the broker is killed, on a busy machine too: a reply lost with the connection is no event.
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
        if (ms > 2_000) t.fail(`/metrics took ${ms} ms`)
        const total = exposition.get('queue_tasks_total')
        if (total < counted) t.fail(`queue_tasks_total went from ${counted} to ${total}`)
        counted = total
        return exposition
      }
    })

    async function startWorkerProcess(t: Test, queue: string, options: object = {}) {
      const child = fork(new URL('./fixtures/worker-process.ts', import.meta.url), {
        env: {
          ...process.env,
          BACKEND: backend,
          BROKER_URL: service.url,
          QUEUE: queue,
          WORKER_OPTIONS: JSON.stringify({ concurrency: 5, metrics: { maxDataPoints: 100 }, ...options }),
        },
      })
      t.teardown(() => end(child))
      const started = new Set<string>()
      let address = ''
      child.on('message', (message: { address?: string; started?: string }) => {
        if (message.address) address = message.address
        if (message.started) started.add(message.started)
      })
      await until(async () => address !== '', 30_000)
      return {
        child,
        scrape: async () => new Exposition(await (await fetch(`${address}/metrics`)).text()),
        hasStarted: (task: string) => until(async () => started.has(task)),
      }
    }
  })
}

t.test('what is neither a queue nor a worker is refused', async (t) => {
  const app = await build(t)
  t.throws(() => app.queueMetrics.observe(new Map() as never), {
    code: 'QUEUE_METRICS_ERR_UNWATCHABLE',
    message: 'Expected a Queue or a Worker of BullMQ 6, got an instance of Map',
  })
  t.throws(() => app.queueMetrics.observe(undefined as never), { code: 'QUEUE_METRICS_ERR_UNWATCHABLE' })
  for (const options of [
    { queues: {} },
    { workers: 'mail' },
    { taskNames: { mail: 'welcome' } },
    { waitBuckets: [2, 1] },
  ]) {
    const option = Object.keys(options)[0]!
    await t.rejects(build(t, options as never), { code: 'METRICS_ERR_OPTION', message: new RegExp(`\`${option}`) })
  }
})

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

async function run({ data, attemptsMade }: { data: Task; attemptsMade: number }): Promise<void> {
  await sleep(data.runMs ?? 0)
  if (data.unrecoverable) throw new UnrecoverableError('asked to fail for good')
  if (attemptsMade < (data.failures ?? 0)) throw new Error('asked to fail')
}

async function build(t: Test, options: QueueMetricsOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(queueMetrics, options)
  return app
}

function closing<Closable extends Queue<Task> | Worker<Task>>(t: Test, closable: Closable): Closable {
  t.teardown(() => closable.close())
  return closable
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.send('end')
  await exited
}

/** Resolves when it is true; its own words are its name. */
async function until(isTrue: () => Promise<boolean>, timeoutMs = 15_000): Promise<void> {
  await untilNamed(String(isTrue), isTrue, timeoutMs)
}

/** The samples of one `/metrics`. */
class Exposition {
  readonly #samples: ExpositionSample[]

  constructor(text: string) {
    this.#samples = readSamples(text)
  }

  has(name: string, labels: Record<string, string> = {}): boolean {
    return this.#find(name, labels).length > 0
  }

  /** The sum of the samples that have these labels. */
  get(name: string, labels: Record<string, string> = {}): number {
    return this.#find(name, labels).reduce((sum, { value }) => sum + value, 0)
  }

  #find(name: string, labels: Record<string, string>) {
    return this.#samples.filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    )
  }
}

async function scrape(app: FastifyInstance): Promise<Exposition> {
  return new Exposition((await app.inject('/metrics')).body)
}

function sum(expositions: Exposition[], name: string, labels: Record<string, string> = {}): number {
  return expositions.reduce((sum, exposition) => sum + exposition.get(name, labels), 0)
}

function linesOfQueues(body: string): string {
  const lines = body.split('\n').filter((line) => /^(# \w+ )?queue_/.test(line))
  return `${lines.join('\n')}\n`
}
