import { Job } from 'bullmq'
import t from 'tap'
import type { Task } from './fixtures/backends.ts'
import { build, closing, runOnEachBackend, scrape, test, until } from './helpers.ts'

const TOKEN = 'by hand'

test('jobs taken with getNextJob are counted, however they end', async (t, { broker, nextQueue }) => {
  const queue = closing(t, broker.queue(nextQueue()))
  const children = closing(t, broker.queue(nextQueue()))
  const worker = closing(t, broker.manualWorker(queue.name))
  const app = await build(t, { workers: [worker] })
  const get = async (name: string, labels = {}) => (await scrape(app)).get(name, labels)
  const take = async (name: string, opts: object = {}): Promise<Job<Task>> => {
    await queue.add(name, {}, opts)
    const job = (await worker.getNextJob(TOKEN, { block: false }))!
    t.equal(await get('queue_tasks_active', { task_name: name }), 1, `${name} is active`)
    return job
  }

  t.equal(await worker.getNextJob(TOKEN, { block: false }), undefined)
  t.equal(await get('queue_task_wait_seconds_count'), 0, 'no wait without a task')
  await (await take('completed')).moveToCompleted('', TOKEN, false)
  await (await take('failed')).moveToFailed(new TypeError('asked to'), TOKEN, false)
  await (await take('delayed')).moveToDelayed(Date.now() + 600_000, TOKEN)
  await (await take('retried', { attempts: 2, backoff: 600_000 })).moveToFailed(new Error('asked to'), TOKEN, false)
  const parent = await take('parent')
  t.equal(await parent.moveToWaitingChildren(TOKEN), false, 'it has no children yet')
  t.equal(await get('queue_tasks_active', { task_name: 'parent' }), 1, 'so it stays active')
  await children.add('child', {}, { parent: { id: parent.id!, queue: parent.queueQualifiedName } })
  t.equal(await parent.moveToWaitingChildren(TOKEN), true)
  const back = await take('back to wait')
  await back.moveToWait(TOKEN)
  const again = (await worker.getNextJob(TOKEN, { block: false }))!
  await t.rejects(again.moveToCompleted('', 'another token', false))

  t.equal(await get('queue_tasks_active'), 0)
  t.equal(await get('queue_task_duration_seconds_count'), 7)
  t.equal(await get('queue_task_duration_seconds_count', { task_name: 'back to wait' }), 2)
  t.equal(await get('queue_task_wait_seconds_count'), 6, 'each job waited once')
  t.equal(await get('queue_tasks_total', { task_name: 'completed', status: 'completed' }), 1)
  t.equal(await get('queue_tasks_total', { task_name: 'failed', status: 'failed' }), 1)
  t.equal(await get('queue_tasks_total'), 2)
  t.equal(await get('queue_task_retries_total', { task_name: 'retried' }), 1)
  t.equal(await get('queue_task_errors_total', { error: 'TypeError' }), 1)
})

test('the job that comes with the end of another is counted, and one is given up when the worker is closed', async (t, {
  broker,
  nextQueue,
}) => {
  const queue = closing(t, broker.queue(nextQueue()))
  const worker = closing(t, broker.manualWorker(queue.name))
  const app = await build(t, { workers: [worker] })
  await queue.addBulk(['first', 'second', 'third'].map((name) => ({ name, data: {} })))

  const first = (await worker.getNextJob(TOKEN, { block: false }))!
  const next = (await first.moveToCompleted('', TOKEN, true)) as unknown as [never, string]
  t.equal((await scrape(app)).get('queue_tasks_active', { task_name: 'second' }), 1)
  await Job.fromJSON(worker as never, ...next).moveToCompleted('', TOKEN, true)
  t.equal((await scrape(app)).get('queue_tasks_total', { status: 'completed' }), 2)
  t.equal((await scrape(app)).get('queue_tasks_active', { task_name: 'third' }), 1)

  await worker.close()
  await until(async () => (await scrape(app)).get('queue_tasks_active') === 0)
  t.equal((await scrape(app)).get('queue_task_duration_seconds_count'), 3)
  t.equal((await scrape(app)).get('queue_task_wait_seconds_count'), 3)
})

runOnEachBackend(t)
