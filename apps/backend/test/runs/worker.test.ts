import { rmSync } from 'node:fs'
import { createPostgresBackend, Queue } from 'bullmq'
import t from 'tap'
import { queueLabel, startBrokers } from '../brokers.ts'
import { build, enqueue, find, readValue, temporaryFolder, until, untilEnded, writeDocuments } from '../helpers.ts'

for (const [name, broker] of Object.entries(await startBrokers(t))) {
  t.test(`the worker on ${name}`, async (t) => {
    const env = await broker.env()
    const queue = queueLabel(env)
    const app = await build(t, { ...env, WORKER_CONCURRENCY: '1' })

    await t.test('does not try a run again when the request is at fault', async (t) => {
      const params = { document: 'nowhere.md' }
      const failed = await untilEnded(app, await enqueue(app, { tool: 'extract_keywords', params }))

      t.match(failed, { status: 'failed', attempts: 1, error: { code: 'INVALID_PARAMETER' } })
      t.match(failed.error?.details, [{ field: 'params.document', message: /nowhere.md/ }])
    })

    await t.test('does not execute a run again when its job comes back after its end', async (t) => {
      const id = await enqueue(app, { tool: 'document_stats' })
      const { finished_at } = await untilEnded(app, id)
      const executions = () => readValue(app, 'tool_executions_total{status="completed",tool_name="document_stats"}')
      const jobs = () => readValue(app, `queue_tasks_total{${queue},status="completed",task_name="document_stats"}`)
      // The run ends in the database before its job ends in the queue.
      await until('its job to end', async () => (await jobs()) === 1)
      const before = { executions: await executions(), jobs: await jobs() }

      const connection = env.REDIS_URL ? { url: env.REDIS_URL } : { connectionString: env.DATABASE_URL }
      const factory = env.REDIS_URL ? undefined : createPostgresBackend
      const bull = new Queue(env.QUEUE_NAME ?? 'runs', { connection } as never, factory as never)
      await bull.add('document_stats', {}, { jobId: id, removeOnComplete: true })
      await bull.close()

      await until('the job to be taken', async () => (await jobs()) > before.jobs)
      t.equal(await executions(), before.executions)
      t.equal((await find(app, id)).finished_at, finished_at)
    })
  })

  t.test(
    `a run that fails on ${name} is tried until its attempts are used up, unless its result is too large`,
    async (t) => {
      const env = await broker.env()
      const queue = queueLabel(env)
      const folder = temporaryFolder(t, 'gone')
      const limits = { QUEUE_BACKOFF_MS: '100', MAX_RESULT_BYTES: '100', WORKER_CONCURRENCY: '1' }
      const app = await build(t, { ...env, ...limits, DOCS_DIR: folder })

      const large = await untilEnded(app, await enqueue(app, { tool: 'document_stats' }))
      rmSync(folder, { recursive: true })
      const failed = await untilEnded(app, await enqueue(app, { tool: 'build_graph' }))

      t.match(large, { status: 'failed', attempts: 1, error: { code: 'RESULT_TOO_LARGE', message: /100 are stored/ } })
      t.match(failed, { status: 'failed', attempts: 3, error: { code: 'TOOL_FAILED', message: /documents folder/ } })
      t.equal(await readValue(app, 'tool_executions_total{status="failed",tool_name="build_graph"}'), 3)
      await until('the end to be counted', async () => {
        return (await readValue(app, `queue_tasks_total{${queue},status="failed",task_name="build_graph"}`)) === 1
      })
      t.equal(await readValue(app, `queue_task_retries_total{${queue},task_name="build_graph"}`), 2)
    },
  )

  t.test(`a run on ${name} is stopped with its thread at the time limit, and ends as timeout`, async (t) => {
    const limits = { TOOL_TIMEOUT_MS: '20', QUEUE_ATTEMPTS: '2', QUEUE_BACKOFF_MS: '100', WORKER_CONCURRENCY: '1' }
    const app = await build(t, { ...(await broker.env()), ...limits, DOCS_DIR: writeDocuments(t, 15) })

    const ended = await untilEnded(app, await enqueue(app, { tool: 'find_duplicates' }))

    t.match(ended, { status: 'timeout', attempts: 2, error: { code: 'TOOL_TIMEOUT', message: /20 ms/ } })
    t.equal(await readValue(app, 'tool_executions_total{status="timeout",tool_name="find_duplicates"}'), 2)
    t.equal(await readValue(app, 'tool_executions_active{tool_name="find_duplicates"}'), 0)
  })

  t.test(`a run on ${name} goes back to the queue when its process closes`, async (t) => {
    const documents = writeDocuments(t, 60)
    const env = { ...(await broker.env()), DOCS_DIR: documents, CLOSE_GRACE_MS: '0', WORKER_CONCURRENCY: '1' }
    const worker = await build(t, env)
    const next = await build(t, { ...env, WORKERS: '0' })
    const id = await enqueue(next, { tool: 'find_duplicates' })
    await until('the run to begin', async () => (await find(next, id)).status === 'running')

    await worker.close()

    t.match(await find(next, id), { status: 'queued', attempts: 0 })
    t.ok(await broker.hasJob(env, id))
    await build(t, env)
    t.match(await untilEnded(next, id), { status: 'completed', attempts: 1 })
  })
}
