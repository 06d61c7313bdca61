import t from 'tap'
import { tools } from '../../dist/knowledge/tools/index.js'
import { queueLabel, startBrokers } from '../brokers.ts'
import { build, find, paramsOf, type Run, readValue, run, until, untilEnded } from '../helpers.ts'

for (const [name, broker] of Object.entries(await startBrokers(t))) {
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
