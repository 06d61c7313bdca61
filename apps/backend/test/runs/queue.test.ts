import t from 'tap'
import { tools } from '../../dist/knowledge/tools/index.js'
import { queueLabel, startBrokers } from '../brokers.ts'
import { build, enqueue, find, paramsOf, type Run, readValue, run, until, untilEnded } from '../helpers.ts'

const brokers = await startBrokers(t)

for (const [name, broker] of Object.entries(brokers)) {
  t.test(`queued runs on ${name}`, async (t) => {
    const env = await broker.env()
    const queue = queueLabel(env)
    const producer = await build(t, { ...env, WORKERS: '0' })

    await t.test('are in the queue until a worker takes them', async (t) => {
      for (const tool of tools.keys()) {
        const response = await run(producer, { tool, params: paramsOf(tool), mode: 'queued' })
        const { run_id } = response.json()
        t.match(response, { statusCode: 202, headers: { location: `/api/runs/${run_id}` } })
        t.strictSame(response.json(), { run_id, status: 'queued' })
        t.ok(await broker.hasJob(env, run_id), `${name} has the job`)
        t.match(await find(producer, run_id), { status: 'queued', attempts: 0, tool })
      }
      t.equal(await readValue(producer, `queue_length{${queue}}`), tools.size)
    })

    await t.test('complete with the result of an inline run, for each tool', async (t) => {
      const app = await build(t, { ...env, WORKER_CONCURRENCY: '1' })
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
  })
}

for (const [name, broker] of Object.entries(brokers)) {
  t.test(`runs that are missing in the queue on ${name} are added once, also by two processes`, async (t) => {
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
}

t.test('runs that ended long ago are deleted, and no others', async (t) => {
  const env = await brokers.PostgreSQL.env()
  const app = await build(t, { ...env, WORKERS: '0' })
  const old = (await run(app, { tool: 'build_graph' })).json()
  const recent = (await run(app, { tool: 'extract_keywords', params: { document: 'nowhere.md' } })).json()
  t.match(await find(app, old.run_id), { status: 'completed' })
  await app.pg.query(`UPDATE data20.runs SET finished_at = now() - interval '31 days' WHERE id = $1`, [old.run_id])
  await until('the old run to be deleted', async () => {
    return (await app.inject(`/api/runs/${old.run_id}`)).statusCode === 404
  })
  t.match(await find(app, recent.run_id), { status: 'failed' })
})
