import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { startPostgres, startRedis } from '@data20/dev-services'
import { createPostgresBackend, Worker } from 'bullmq'
import type { FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t from 'tap'
import { buildBase } from '../dist/base.js'
import { readConfig } from '../dist/config.js'
import { tools } from '../dist/knowledge/tools/index.js'
import { startRunWorker } from '../dist/runs/worker.js'
import {
  build,
  createDatabase,
  type Environment,
  query,
  readValue,
  run,
  SMALL,
  temporaryFolder,
  until,
  writeDocuments,
} from './helpers.ts'

const postgres = await startPostgres({ durable: false })
const redis = await startRedis()
const asked = new Redis(redis.url)
t.teardown(async () => {
  asked.disconnect()
  await Promise.all([postgres.stop(), redis.stop()])
})

/** A run as `GET /api/runs/:id` tells of it. */
interface Run {
  run_id: string
  tool: string
  status: string
  attempts: number
  created_at: string
  started_at?: string
  finished_at?: string
  duration_ms?: number
  result?: unknown
  error?: { code: string; message: string; details?: unknown[] }
}

/** One broker, asked without the backend. */
interface Broker {
  env(): Promise<Environment & { DATABASE_URL: string }>
  hasJob(env: Environment, id: string): Promise<boolean>
  loseEverything(env: Environment): Promise<void>
}

let queues = 0
const brokers: Record<string, Broker> = {
  PostgreSQL: {
    env: async () => ({ DATABASE_URL: await createDatabase(postgres.url), RECONCILE_MS: '300' }),
    async hasJob({ DATABASE_URL = '' }, id) {
      return (await query(DATABASE_URL, 'SELECT 1 FROM bullmq.job WHERE id = $1', [id])).length === 1
    },
    async loseEverything({ DATABASE_URL = '' }) {
      await query(DATABASE_URL, 'DELETE FROM bullmq.job')
    },
  },
  Redis: {
    env: async () => ({
      DATABASE_URL: await createDatabase(postgres.url),
      RECONCILE_MS: '300',
      REDIS_URL: redis.url,
      // Tests share a Redis, which may be somebody else's.
      QUEUE_NAME: `test-${process.pid}-${++queues}`,
    }),
    hasJob: async ({ QUEUE_NAME = '' }, id) => (await asked.exists(`bull:${QUEUE_NAME}:${id}`)) === 1,
    async loseEverything({ QUEUE_NAME = '' }) {
      const keys = await asked.keys(`bull:${QUEUE_NAME}:*`)
      if (keys.length > 0) await asked.del(keys)
    },
  },
}

for (const [name, broker] of Object.entries(brokers)) {
  t.test(`queued runs on ${name}`, async (t) => {
    const env = await broker.env()
    const queue = `queue="${env.QUEUE_NAME ?? 'runs'}"`
    const producer = await build(t, { ...env, WORKERS: '0' })

    await t.test('are in the queue until a worker takes them', async (t) => {
      const ids = []
      for (const tool of tools.keys()) {
        const response = await run(producer, { tool, params: paramsOf(tool), mode: 'queued' })
        const { run_id } = response.json()
        t.match(response, { statusCode: 202, headers: { location: `/api/runs/${run_id}` } })
        t.strictSame(response.json(), { run_id, status: 'queued' })
        t.ok(await broker.hasJob(env, run_id), `${name} has the job`)
        t.match(await find(producer, run_id), { status: 'queued', attempts: 0, tool })
        ids.push(run_id)
      }
      t.equal(await readValue(producer, `queue_length{${queue}}`), tools.size)
    })

    const app = await build(t, { ...env, WORKER_CONCURRENCY: '1' })

    await t.test('complete with the result of an inline run, for each tool', async (t) => {
      const { runs } = (await app.inject('/api/runs')).json()
      t.equal(runs.length, tools.size)
      for (const { run_id, tool } of runs as Run[]) {
        const ended = await untilEnded(app, run_id)
        const inline = await run(app, { tool, params: paramsOf(tool) })
        t.match(ended, { run_id, tool, status: 'completed', attempts: 1, duration_ms: Number })
        t.strictSame(ended.result, inline.json().result, `${tool} gives the same result`)
        t.equal(ended.error, undefined)
        const times = [ended.created_at, ended.started_at!, ended.finished_at!].map(Date.parse)
        t.ok(times[0]! <= times[1]! && times[1]! <= times[2]!, 'created, started and finished in this order')
        // One is the queued run, the other the inline one.
        t.equal(await readValue(app, `tool_executions_total{status="completed",tool_name="${tool}"}`), 2)
      }
      await until('the jobs to leave the queue', async () => {
        const jobs = await Promise.all(runs.map(({ run_id }: Run) => broker.hasJob(env, run_id)))
        return !jobs.includes(true)
      })
    })

    await t.test('are not tried again when the request is at fault', async (t) => {
      const params = { document: 'nowhere.md' }
      const failed = await untilEnded(app, await enqueue(app, { tool: 'extract_keywords', params }))

      t.match(failed, { status: 'failed', attempts: 1, error: { code: 'BACKEND_INVALID_PARAMETER' } })
      t.match(failed.error?.details, [{ field: 'params.document', message: /nowhere.md/ }])
    })

    await t.test('are not run again when their job comes back after their end', async (t) => {
      const id = await enqueue(app, { tool: 'document_stats' })
      const { finished_at } = await untilEnded(app, id)
      const executions = () => readValue(app, 'tool_executions_total{status="completed",tool_name="document_stats"}')
      const jobs = () => readValue(app, `queue_tasks_total{${queue},status="completed",task_name="document_stats"}`)
      const before = { executions: await executions(), jobs: await jobs() }

      const { Queue, createPostgresBackend } = await import('bullmq')
      const connection = env.REDIS_URL ? { url: env.REDIS_URL } : { connectionString: env.DATABASE_URL }
      const factory = env.REDIS_URL ? undefined : createPostgresBackend
      const bull = new Queue(env.QUEUE_NAME ?? 'runs', { connection } as never, factory as never)
      await bull.add('document_stats', {}, { jobId: id, removeOnComplete: true })
      await bull.close()

      await until('the job to be taken', async () => (await jobs()) > before.jobs)
      t.equal(await executions(), before.executions)
      t.equal((await find(app, id)).finished_at, finished_at)
    })

    await t.test('have failed after their attempts, or at once with a result that is too large', async (t) => {
      const env = await broker.env()
      const folder = temporaryFolder(t, 'gone')
      const limits = { QUEUE_BACKOFF_MS: '100', MAX_RESULT_BYTES: '100', WORKER_CONCURRENCY: '1' }
      const app = await build(t, { ...env, ...limits, DOCS_DIR: folder })

      const large = await untilEnded(app, await enqueue(app, { tool: 'document_stats' }))
      rmSync(folder, { recursive: true })
      const failed = await untilEnded(app, await enqueue(app, { tool: 'build_graph' }))

      t.match(large, { status: 'failed', attempts: 1, error: { code: 'RESULT_TOO_LARGE', message: /100 are stored/ } })
      t.match(failed, { status: 'failed', attempts: 3, error: { code: 'TOOL_FAILED', message: /documents folder/ } })
      t.equal(await readValue(app, 'tool_executions_total{status="failed",tool_name="build_graph"}'), 3)
      const labels = `queue="${env.QUEUE_NAME ?? 'runs'}"`
      await until('the end to be counted', async () => {
        const total = `queue_tasks_total{${labels},status="failed",task_name="build_graph"}`
        return (await readValue(app, total)) === 1
      })
      t.equal(await readValue(app, `queue_task_retries_total{${labels},task_name="build_graph"}`), 2)
    })

    await t.test('are stopped with their thread at the time limit, and end as timeout', async (t) => {
      const limits = { TOOL_TIMEOUT_MS: '200', QUEUE_ATTEMPTS: '2', QUEUE_BACKOFF_MS: '100', WORKER_CONCURRENCY: '1' }
      const app = await build(t, { ...(await broker.env()), ...limits, DOCS_DIR: writeDocuments(t, 15) })

      const ended = await untilEnded(app, await enqueue(app, { tool: 'find_duplicates' }))

      t.match(ended, { status: 'timeout', attempts: 2, error: { code: 'TOOL_TIMEOUT', message: /200 ms/ } })
      t.equal(await readValue(app, 'tool_executions_total{status="timeout",tool_name="find_duplicates"}'), 2)
      t.equal(await readValue(app, 'tool_executions_active{tool_name="find_duplicates"}'), 0)
    })

    await t.test('that are missing in the queue are put into it once, also by two processes', async (t) => {
      const env = { ...(await broker.env()), WORKER_CONCURRENCY: '1' }
      const producer = await build(t, { ...env, WORKERS: '0' })
      // Jobs that the broker has lost, and rows without a job, as a process leaves them that is killed between the two.
      const added = await Promise.all(Array.from({ length: 30 }, () => enqueue(producer, { tool: 'document_stats' })))
      await broker.loseEverything(env)
      const { rows } = await producer.pg.query(
        `INSERT INTO data20.runs (id, tool, params, mode, status, max_attempts)
         SELECT gen_random_uuid(), 'document_stats', '{}', 'queued', 'queued', 3 FROM generate_series(1, 30) RETURNING id`,
      )
      const ids = [...added, ...rows.map(({ id }: { id: string }) => id)]

      const apps = await Promise.all([build(t, env), build(t, env)])

      for (const id of ids) t.match(await untilEnded(producer, id), { status: 'completed', attempts: 1 })
      const executed = await Promise.all(
        apps.map((app) => readValue(app, 'tool_executions_total{status="completed",tool_name="document_stats"}')),
      )
      t.equal(executed[0]! + executed[1]!, 60)
    })

    await t.test('go back to the queue when their process closes', async (t) => {
      const documents = writeDocuments(t, 15)
      const env = { ...(await broker.env()), DOCS_DIR: documents, CLOSE_GRACE_MS: '100', WORKER_CONCURRENCY: '1' }
      const worker = await build(t, env)
      const next = await build(t, { ...env, WORKERS: '0' })
      const id = await enqueue(next, { tool: 'find_duplicates' })
      await until('the run to begin', async () => (await find(next, id)).status === 'running')

      const start = Date.now()
      await worker.close()

      t.ok(Date.now() - start < 3000, `closed in ${Date.now() - start} ms`)
      t.match(await find(next, id), { status: 'queued', attempts: 0 })
      t.ok(await broker.hasJob(env, id))
      await build(t, env)
      t.match(await untilEnded(next, id), { status: 'completed', attempts: 1 })
    })
  })
}

t.test('the history', async (t) => {
  const env = { DATABASE_URL: await createDatabase(postgres.url), WORKERS: '0', MAX_JOB_BYTES: '200' }
  const app = await build(t, env)
  const list = async (search = '') => (await app.inject(`/api/runs${search}`)).json()

  await t.test('is empty at first', async (t) => {
    t.strictSame(await list(), { runs: [] })
  })

  const queued: string[] = []
  for (let index = 0; index < 25; index += 1) queued.push(await enqueue(app, { tool: 'document_stats' }))
  const inline = (await run(app, { tool: 'build_graph' })).json()
  const failed = (await run(app, { tool: 'extract_keywords', params: { document: 'nowhere.md' } })).json()

  await t.test('lists the newest first, without results, 20 at a time', async (t) => {
    const { runs, next_cursor } = await list()
    t.equal(runs.length, 20)
    t.equal(typeof next_cursor, 'string')
    t.match(runs[0], { run_id: failed.run_id, status: 'failed', error: { code: 'BACKEND_INVALID_PARAMETER' } })
    t.match(runs[1], { run_id: inline.run_id, tool: 'build_graph', status: 'completed', attempts: 1 })
    t.notOk(runs.some((run: Run) => 'result' in run))
  })

  await t.test('is read to its end by its cursors, each run once, whatever comes in meanwhile', async (t) => {
    const seen: string[] = []
    for (let cursor = ''; ; ) {
      const page = await list(`?limit=4${cursor}`)
      seen.push(...page.runs.map((run: Run) => run.run_id))
      if (page.next_cursor === undefined) break
      cursor = `&cursor=${page.next_cursor}`
      await enqueue(app, { tool: 'search', params: { query: 'x' } })
    }
    t.strictSame(seen, [failed.run_id, inline.run_id, ...queued.toReversed()])
  })

  await t.test('is filtered by status and tool', async (t) => {
    t.equal((await list('?status=queued&tool=document_stats&limit=100')).runs.length, 25)
    t.strictSame(
      (await list('?status=completed')).runs.map((run: Run) => run.run_id),
      [inline.run_id],
    )
    t.equal((await list('?tool=nope')).runs.length, 0)
    const first = await list('?status=queued&tool=document_stats&limit=10')
    const second = await list(`?status=queued&tool=document_stats&limit=15&cursor=${first.next_cursor}`)
    t.equal(second.runs.length, 15)
    t.notOk('next_cursor' in second)
  })

  await t.test('has one run with its result', async (t) => {
    const found = await find(app, inline.run_id)
    t.match(found, { run_id: inline.run_id, status: 'completed', attempts: 1 })
    t.strictSame(found.result, inline.result)
  })

  await t.test('refuses what it does not understand', async (t) => {
    for (const [search, field] of [
      ['limit=0', 'limit'],
      ['limit=101', 'limit'],
      ['limit=1.5', 'limit'],
      ['limit=many', 'limit'],
      ['limit=1&limit=2', 'limit'],
      ['status=nope', 'status'],
      ['status=queued&status=failed', 'status'],
      ['cursor=nope', 'cursor'],
      ['cursor=', 'cursor'],
      [`cursor=${Buffer.from("1:' OR true --").toString('base64url')}`, 'cursor'],
      [`cursor=${Buffer.from(`9999999999999999:${'-'.repeat(36)}`).toString('base64url')}`, 'cursor'],
      ['surplus=1', 'surplus'],
    ] as const) {
      const response = await app.inject(`/api/runs?${search}`)
      t.equal(response.statusCode, 400, `${search}`)
      t.equal(response.json().details?.[0].field, field, `${search}`)
    }
    for (const id of ['nope', '00000000-0000-4000-8000-000000000000', "'%20OR%20true"]) {
      t.match((await app.inject(`/api/runs/${id}`)).json(), { statusCode: 404, code: 'UNKNOWN_RUN' }, id)
    }
  })

  await t.test('has no queued run whose parameters are too large', async (t) => {
    const refused = await run(app, { tool: 'search', params: { query: 'x'.repeat(300) }, mode: 'queued' })
    t.match(refused, { statusCode: 413 })
    t.match(refused.json(), {
      code: 'JOB_TOO_LARGE',
      details: [{ field: 'params', message: /200 bytes .* got 3\d\d/ }],
    })
  })

  await t.test('keeps text that PostgreSQL has no type for', async (t) => {
    const id = await enqueue(app, { tool: 'search', params: { query: '\0 \ud800' } })
    const worker = await build(t, { ...env, WORKERS: '1', HISTORY_DAYS: '1' })
    t.match(await untilEnded(worker, id), { status: 'completed' })
  })

  await t.test('forgets runs that ended long ago, and no others', async (t) => {
    await app.pg.query(`UPDATE data20.runs SET finished_at = now() - interval '31 days' WHERE id = $1`, [inline.run_id])
    const keeper = await build(t, { ...env, RECONCILE_MS: '100' })
    await until('the old run to be deleted', async () => {
      return (await keeper.inject(`/api/runs/${inline.run_id}`)).statusCode === 404
    })
    t.match(await find(keeper, failed.run_id), { status: 'failed' })
  })
})

t.test('the caches', async (t) => {
  const documents = writeDocuments(t, 2)
  const app = await build(t, { DATABASE_URL: await createDatabase(postgres.url), DOCS_DIR: documents })
  const executions = () => readValue(app, 'tool_executions_total{status="completed",tool_name="search"}')
  const hits = () => readValue(app, 'cache_hits_total{cache_type="tool_results"}')
  const misses = () => readValue(app, 'cache_misses_total{cache_type="tool_results"}')
  const search = async (more: object = {}) => {
    return (await run(app, { tool: 'search', params: { query: 'word1', limit: 3 }, ...more })).json()
  }

  await t.test('answer what is known without an execution, whatever the order of the parameters', async (t) => {
    const first = await search()
    const second = await search({ params: { limit: 3, query: 'word1' } })

    t.notOk('cached' in first)
    t.match(second, { run_id: first.run_id, status: 'completed', cached: true, duration_ms: Number })
    t.strictSame(second.result, first.result)
    t.strictSame([await executions(), await misses(), await hits()], [1, 1, 1])
    t.equal(await readValue(app, 'cache_entries{cache_type="tool_results"}'), 1)
    t.ok((await readValue(app, 'cache_size_bytes{cache_type="tool_results"}')) > JSON.stringify(first.result).length)
    t.equal((await find(app, first.run_id)).status, 'completed')
  })

  await t.test('run anew for other parameters, other documents, and when asked to', async (t) => {
    t.notOk('cached' in (await search({ params: { query: 'word2' } })))
    t.strictSame([await executions(), await misses(), await hits()], [2, 2, 1])

    t.notOk('cached' in (await search({ cache: false })))
    t.strictSame([await executions(), await misses(), await hits()], [3, 2, 1], 'no lookup')
    t.match(await search(), { cached: true })

    rmSync(`${documents}/document-1.md`)
    t.notOk('cached' in (await search()))
    t.strictSame([await executions(), await misses(), await hits()], [4, 3, 2])
  })

  await t.test('have the registry of the tools', async (t) => {
    const answers = [(await app.inject('/api/tools')).json(), (await app.inject('/api/tools')).json()]
    t.strictSame(answers[0], answers[1])
    t.equal(await readValue(app, 'cache_misses_total{cache_type="tool_registry"}'), 1)
    t.equal(await readValue(app, 'cache_hits_total{cache_type="tool_registry"}'), 1)
    t.equal(await readValue(app, 'cache_load_duration_seconds_count{cache_type="tool_registry"}'), 1)
  })

  await t.test('keep no more than their bytes, and nothing with none', async (t) => {
    const none = await build(t, { DATABASE_URL: await createDatabase(postgres.url), CACHE_MAX_BYTES: '0' })
    await run(none, { tool: 'document_stats' })
    t.notOk('cached' in (await run(none, { tool: 'document_stats' })).json())
    t.equal(await readValue(none, 'cache_size_bytes{cache_type="tool_results"}'), 0)

    const little = await build(t, { DATABASE_URL: await createDatabase(postgres.url), CACHE_MAX_BYTES: '2000' })
    for (let limit = 1; limit < 10; limit += 1) {
      await run(little, { tool: 'extract_keywords', params: { limit, document: 'guide.md' } })
    }
    t.ok((await readValue(little, 'cache_size_bytes{cache_type="tool_results"}')) <= 2000)
    t.ok((await readValue(little, 'cache_evictions_total{cache_type="tool_results",reason="evict"}')) > 0)
  })
})

t.test('a worker that gets no connection in time is given up for another', async (t) => {
  const sockets: Socket[] = []
  const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  const { port } = silent.address() as AddressInfo
  const env = { DATABASE_URL: await createDatabase(postgres.url) }
  const config = readConfig({ LOG_LEVEL: 'silent', DOCS_DIR: SMALL, ...env })
  let workers = 0
  const app = await buildBase(config, { isDatabaseBorrowed: true, hasWorker: false }, async ({ app, store, queue }) => {
    startRunWorker(app, {
      store,
      queue: {
        ...queue,
        createWorker: (processor) => (++workers === 1 ? lost(processor) : queue.createWorker(processor)),
      },
      docsDir: SMALL,
      concurrency: 1,
      timeoutMs: 10_000,
      maxResultBytes: 1_000_000,
      closeGraceMs: 1000,
    })
  })
  t.teardown(() => app.close())
  const producer = await build(t, { ...env, WORKERS: '0' })
  const { status, attempts } = await untilEnded(producer, await enqueue(producer, { tool: 'document_stats' }))
  t.match({ status, attempts, workers }, { status: 'completed', attempts: 1, workers: 2 })

  function lost(processor: ConstructorParameters<typeof Worker>[1]): Worker {
    const connection = { host: '127.0.0.1', port, connectionTimeoutMillis: 300 } as object
    return new Worker(config.QUEUE_NAME, processor, { autorun: false, connection }, createPostgresBackend as never)
  }
})

t.test('a database that is down is told within seconds, and is used again when it is back', async (t) => {
  const server = await startPostgres({ directory: temporaryFolder(t, 'postgres'), durable: false })
  t.teardown(() => server.stop())
  const app = await build(t, { DATABASE_URL: server.url, RECONCILE_MS: '300', CACHE_MAX_BYTES: '0' })
  const before = await enqueue(app, { tool: 'document_stats' })
  t.match(await untilEnded(app, before), { status: 'completed' })
  t.equal(await readValue(app, 'db_up{pool="default"}'), 1)

  await server.kill()

  const start = Date.now()
  const answers = await Promise.all([
    run(app, { tool: 'document_stats', mode: 'queued' }),
    app.inject(`/api/runs/${before}`),
    app.inject('/api/runs'),
  ])
  for (const answer of answers)
    t.match(answer.json(), { statusCode: 503, code: 'DATABASE_UNAVAILABLE', message: String })
  t.match((await app.inject('/health/ready')).json(), { statusCode: 503, code: 'NOT_READY', message: /database/ })
  t.equal((await app.inject('/health/live')).statusCode, 200)
  t.match((await run(app, { tool: 'document_stats' })).json(), { status: 'completed' }, 'inline runs go on')
  t.ok(Date.now() - start < 5000, `all of it took ${Date.now() - start} ms`)
  t.equal(await readValue(app, 'db_up{pool="default"}'), 0)
  t.ok((await readValue(app, 'db_queries_total{operation="INSERT",pool="default"}')) >= 2)

  await server.restart()

  await until('the backend to be ready', async () => (await app.inject('/health/ready')).statusCode === 200)
  t.match(await find(app, before), { status: 'completed' })
  t.match(await untilEnded(app, await enqueue(app, { tool: 'document_stats' })), { status: 'completed' })
  t.equal(await readValue(app, 'db_up{pool="default"}'), 1)
})

function paramsOf(tool: string): object {
  return tool === 'search' ? { query: 'guide' } : {}
}

async function enqueue(app: FastifyInstance, body: object): Promise<string> {
  const response = await run(app, { ...body, mode: 'queued' })
  if (response.statusCode !== 202) throw new Error(`expected 202, got ${response.statusCode} ${response.body}`)
  return response.json().run_id
}

async function find(app: FastifyInstance, id: string): Promise<Run> {
  const response = await app.inject(`/api/runs/${id}`)
  if (response.statusCode !== 200) throw new Error(`expected 200, got ${response.statusCode} ${response.body}`)
  return response.json()
}

function untilEnded(app: FastifyInstance, id: string): Promise<Run> {
  return until(`run ${id} to end`, async () => {
    const found = await find(app, id)
    return !['queued', 'running'].includes(found.status) && found
  }) as Promise<Run>
}
