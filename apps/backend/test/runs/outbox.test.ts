import t from 'tap'
import { startBrokers } from '../brokers.ts'
import { build, enqueue, find, readValue, run, until, untilEnded } from '../helpers.ts'

const brokers = await startBrokers(t)

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
