import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { startPostgres } from '@data20/dev-services'
import t from 'tap'
import { tools } from '../../dist/knowledge/tools/index.js'
import {
  assertNothingRuns,
  build,
  listen,
  postOverSocket,
  readValue,
  run,
  until,
  untilActive,
  writeDocuments,
} from '../helpers.ts'

const postgres = await startPostgres({ durable: false })
t.teardown(() => postgres.stop())
const env = { DATABASE_URL: postgres.url }

t.test('POST /api/run answers with the result of the tool, and counts it', async (t) => {
  const app = await build(t, env)
  for (const tool of tools.keys()) {
    const params = tool === 'search' ? { query: 'guide' } : {}
    const response = await run(app, { tool, params })
    t.match(response, { statusCode: 200 }, tool)
    t.match(response.json(), {
      tool,
      status: 'completed',
      run_id: /^[0-9a-f-]{36}$/,
      duration_ms: Number,
      result: Object,
    })
    t.equal(await readValue(app, `tool_executions_total{status="completed",tool_name="${tool}"}`), 1)
    t.equal(await readValue(app, `tool_execution_duration_seconds_count{tool_name="${tool}"}`), 1)
    t.ok((await readValue(app, `tool_last_success_timestamp_seconds{tool_name="${tool}"}`)) > 1e9)
  }
  t.equal(await readValue(app, 'http_requests_total{endpoint="/api/run",method="POST",status="200"}'), tools.size)
  await assertNothingRuns(t, app)
})

t.test('a tool that throws is answered 500 with status "failed" and counted as failed', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'data20-gone-'))
  const app = await build(t, { ...env, DOCS_DIR: folder })
  rmSync(folder, { recursive: true })
  const response = await run(app, { tool: 'build_graph' })
  t.equal(response.statusCode, 500)
  t.match(response.json(), { statusCode: 500, status: 'failed', tool: 'build_graph', run_id: String, message: String })
  t.equal(await readValue(app, 'tool_executions_total{status="failed",tool_name="build_graph"}'), 1)
  t.equal(await readValue(app, 'http_errors_total{endpoint="/api/run",method="POST",status="500"}'), 1)
  t.equal((await app.inject('/health/ready')).statusCode, 503)
  await assertNothingRuns(t, app)
})

t.test('a run beyond the time limit is stopped, answered 504 and counted as timeout', async (t) => {
  const app = await build(t, {
    ...env,
    DOCS_DIR: writeDocuments(t, 60),
    TOOL_TIMEOUT_MS: '20',
    MAX_WORKER_THREADS: '1',
  })
  const response = await run(app, { tool: 'find_duplicates' })
  t.equal(response.statusCode, 504)
  t.match(response.json(), { statusCode: 504, code: 'TOOL_TIMEOUT', status: 'timeout', message: /20 ms/ })
  t.equal(await readValue(app, 'tool_executions_total{status="timeout",tool_name="find_duplicates"}'), 1)
  t.equal(await readValue(app, 'http_requests_total{endpoint="/api/run",method="POST",status="504"}'), 1)
  await assertNothingRuns(t, app)
})

t.test('the client leaving cancels its run, and frees its place', async (t) => {
  const app = await build(t, { ...env, DOCS_DIR: writeDocuments(t, 60), MAX_CONCURRENT_RUNS: '1' })
  const { port } = await listen(app)
  const socket = postOverSocket(port, { tool: 'find_duplicates' })
  await untilActive(app, 'find_duplicates')

  const refused = await run(app, { tool: 'build_graph' })
  t.equal(refused.statusCode, 503)
  t.equal(refused.headers['retry-after'], '1')
  t.equal(await readValue(app, 'tool_rejections_total{reason="overloaded"}'), 1)

  socket.destroy()
  await until('the run to end', async () => {
    return (await readValue(app, 'tool_executions_active{tool_name="find_duplicates"}')) === 0
  })
  t.equal(await readValue(app, 'tool_executions_total{status="cancelled",tool_name="find_duplicates"}'), 1)
  t.equal(await readValue(app, 'http_requests_total{endpoint="/api/run",method="POST",status="499"}'), 1)
  t.equal(
    await readValue(app, 'http_requests_aborted_total{endpoint="/api/run",method="POST",phase="before_headers"}'),
    1,
  )
  await assertNothingRuns(t, app)
})

t.test('no parameter reads a path outside of the documents', async (t) => {
  const app = await build(t, env)
  for (const document of [
    '../../../package.json',
    '/etc/passwd',
    '..%2f..%2fpackage.json',
    'guide.md/../../../package.json',
    '\0',
  ]) {
    const response = await run(app, { tool: 'extract_keywords', params: { document } })
    t.equal(response.statusCode, 400, document)
    t.notMatch(response.body, /workspace|root:/)
  }
})

t.test('a queued run whose parameters are too large is refused', async (t) => {
  const app = await build(t, { ...env, MAX_JOB_BYTES: '200' })
  const refused = await run(app, { tool: 'search', params: { query: 'x'.repeat(300) }, mode: 'queued' })
  t.match(refused, { statusCode: 413 })
  t.match(refused.json(), {
    code: 'JOB_TOO_LARGE',
    details: [{ field: 'params', message: /200 bytes .* got 3\d\d/ }],
  })
})
