import { startPostgres } from '@data20/dev-services'
import t from 'tap'
import { build, createDatabase, enqueue, find, type Run, run, untilEnded } from '../helpers.ts'

const postgres = await startPostgres({ durable: false })
t.teardown(() => postgres.stop())

t.test('the history', async (t) => {
  const env = { DATABASE_URL: await createDatabase(postgres.url), WORKERS: '0' }
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
    t.match(runs[0], { run_id: failed.run_id, status: 'failed', error: { code: 'INVALID_PARAMETER' } })
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
})

t.test('the history refuses a query that it does not understand', async (t) => {
  const app = await build(t, { DATABASE_URL: postgres.url })
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
    ['tool=%00', 'tool'],
  ] as const) {
    const response = await app.inject(`/api/runs?${search}`)
    t.equal(response.statusCode, 400, `${search}`)
    t.equal(response.json().details?.[0].field, field, `${search}`)
  }
  for (const id of ['nope', '00000000-0000-4000-8000-000000000000', "'%20OR%20true"]) {
    t.match((await app.inject(`/api/runs/${id}`)).json(), { statusCode: 404, code: 'UNKNOWN_RUN' }, id)
  }
})

t.test('the history keeps text that PostgreSQL has no type for', async (t) => {
  const app = await build(t, { DATABASE_URL: postgres.url })
  const id = await enqueue(app, { tool: 'search', params: { query: '\0 \ud800' } })
  t.match(await untilEnded(app, id), { status: 'completed' })
})
