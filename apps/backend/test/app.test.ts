import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { promtool, runTool, startPostgres, toolOrSkip } from '@data20/dev-services'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { tools } from '../dist/knowledge/tools/index.js'
import {
  build as buildWith,
  type Environment,
  readValue,
  run,
  SERVER,
  sleep,
  start,
  temporaryFolder,
  until,
  WORKER,
  writeDocuments,
} from './helpers.ts'

// One server for all; no test here looks at what another one's application stored.
const postgres = await startPostgres({ durable: false })
t.teardown(() => postgres.stop())

function build(t: Test, env: Environment = {}): Promise<FastifyInstance> {
  return buildWith(t, { DATABASE_URL: postgres.url, ...env })
}

async function assertNothingRuns(t: Test, app: FastifyInstance): Promise<void> {
  const { body } = await app.inject('/metrics')
  const running = body.match(/^(tool_executions_active|http_requests_in_flight)\{.*\} [^0].*$/gm)
  t.equal(running, null, 'nothing is active or in flight')
}

t.test('GET / says what this is and where to go', async (t) => {
  const app = await build(t)
  const answer = (await app.inject('/')).json()
  t.match(answer, { name: 'data20-backend', version: /^\d+\.\d+\.\d+$/, status: 'running' })
  for (const link of Object.values<string>(answer.links)) {
    if (link !== '/api/run') t.equal((await app.inject(link)).statusCode, 200, link)
  }
})

t.test('GET /api/tools lists every tool with the schema of its parameters', async (t) => {
  const app = await build(t)
  const answer = (await app.inject('/api/tools')).json()
  t.strictSame(
    answer.tools.map(({ name }: { name: string }) => name),
    ['build_graph', 'search', 'extract_keywords', 'find_duplicates', 'check_links', 'document_stats'],
  )
  t.strictSame(answer.tools[1].parameters.required, ['query'])
  t.equal(answer.tools[1].parameters.properties.limit.default, 10)
})

t.test('POST /api/run answers with the result of the tool, and counts it', async (t) => {
  const app = await build(t)
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

t.test('all tools and statuses are at 0 from the start, and promtool accepts the text', async (t) => {
  const app = await build(t)
  const { body } = await app.inject('/metrics')
  for (const tool of tools.keys()) {
    for (const status of ['completed', 'failed', 'timeout', 'cancelled']) {
      t.match(body, `tool_executions_total{status="${status}",tool_name="${tool}"} 0\n`)
    }
    t.match(body, `tool_executions_active{tool_name="${tool}"} 0\n`)
  }
  for (const reason of ['unknown_tool', 'invalid_input', 'overloaded']) {
    t.match(body, `tool_rejections_total{reason="${reason}"} 0\n`)
  }
  for (const name of ['system_cpu_percent', 'system_memory_percent', 'system_disk_percent', 'system_disk_used_bytes']) {
    t.match(body, `# TYPE ${name} gauge\n`)
  }
  const tool = await toolOrSkip(t, () => promtool())
  if (tool === undefined) return
  const { code, stdout, stderr } = await runTool({ ...tool, args: [...tool.args, 'check', 'metrics'] }, [], {
    input: body,
  })
  t.equal(code, 0, `promtool says: ${stdout}${stderr}`)
})

t.test('errors have one shape and are counted where they belong', async (t) => {
  const app = await build(t, { BODY_LIMIT: '1000' })
  const rejections = (reason: string) => readValue(app, `tool_rejections_total{reason="${reason}"}`)
  const requests = (status: number) =>
    readValue(app, `http_requests_total{endpoint="/api/run",method="POST",status="${status}"}`)

  const unknown = await run(app, { tool: 'nope' })
  t.match(unknown, { statusCode: 404 })
  t.match(unknown.json(), { statusCode: 404, code: String, error: 'Not Found', message: /nope/ })
  t.equal(await rejections('unknown_tool'), 1)
  t.equal(await requests(404), 1)

  for (const [body, field] of [
    [{ tool: 'search' }, 'params.query'],
    [{ tool: 'search', params: { query: 'x', limit: 0 } }, 'params.limit'],
    [{ tool: 'search', params: { query: 'x', limit: '5' } }, 'params.limit'],
    [{ tool: 'search', params: { query: 'x', surplus: 1 } }, 'params.surplus'],
    [{ tool: 'build_graph', surplus: 1 }, 'surplus'],
    [{ tool: 5 }, 'tool'],
    [{}, 'tool'],
    [{ tool: 'search', mode: 'sideways' }, 'mode'],
  ] as const) {
    const response = await run(app, body)
    t.equal(response.statusCode, 400, JSON.stringify(body))
    t.equal(response.json().details[0].field, field)
  }
  const misspelt = await run(app, { tool: 'search', params: { query: 'x', qeury: 'x' } })
  t.equal(misspelt.json().message, 'Expected parameter `qeury` to be one of query, limit, got "qeury"')
  t.equal(await rejections('invalid_input'), 9)
  t.equal(await requests(400), 9)

  const headers = { 'content-type': 'application/json' }
  const malformed = await app.inject({ method: 'POST', url: '/api/run', headers, payload: '{"tool":' })
  t.match(malformed.json(), { statusCode: 400, error: 'Bad Request', message: String, code: String })
  t.equal(await requests(400), 10)

  const large = await run(app, { tool: 'search', params: { query: 'x'.repeat(2000) } })
  t.match(large.json(), { statusCode: 413, error: 'Payload Too Large', message: String, code: String })
  t.equal(await requests(413), 1)

  t.match((await app.inject('/nowhere')).json(), { statusCode: 404, code: 'NOT_FOUND', message: /GET \/nowhere/ })
  await assertNothingRuns(t, app)
})

t.test('a tool that throws is answered 500 with status "failed" and counted as failed', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'data20-gone-'))
  const app = await build(t, { DOCS_DIR: folder })
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
  const app = await build(t, { DOCS_DIR: writeDocuments(t, 60), TOOL_TIMEOUT_MS: '200', MAX_WORKER_THREADS: '1' })
  const response = await run(app, { tool: 'find_duplicates' })
  t.equal(response.statusCode, 504)
  t.match(response.json(), { statusCode: 504, code: 'TOOL_TIMEOUT', status: 'timeout', message: /200 ms/ })
  t.equal(await readValue(app, 'tool_executions_total{status="timeout",tool_name="find_duplicates"}'), 1)
  t.equal(await readValue(app, 'http_requests_total{endpoint="/api/run",method="POST",status="504"}'), 1)
  await assertNothingRuns(t, app)
})

t.test('the client leaving cancels its run, and frees its place', async (t) => {
  const app = await build(t, { DOCS_DIR: writeDocuments(t, 60), MAX_CONCURRENT_RUNS: '1' })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const body = '{"tool":"find_duplicates"}'
  const socket = net.connect(port, '127.0.0.1')
  socket.write(
    `POST /api/run HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  while ((await readValue(app, 'tool_executions_active{tool_name="find_duplicates"}')) === 0) await sleep(10)

  const refused = await run(app, { tool: 'build_graph' })
  t.equal(refused.statusCode, 503)
  t.equal(refused.headers['retry-after'], '1')
  t.equal(await readValue(app, 'tool_rejections_total{reason="overloaded"}'), 1)

  socket.destroy()
  while ((await readValue(app, 'tool_executions_active{tool_name="find_duplicates"}')) === 1) await sleep(10)
  t.equal(await readValue(app, 'tool_executions_total{status="cancelled",tool_name="find_duplicates"}'), 1)
  t.equal(await readValue(app, 'http_requests_total{endpoint="/api/run",method="POST",status="499"}'), 1)
  t.equal(
    await readValue(app, 'http_requests_aborted_total{endpoint="/api/run",method="POST",phase="before_headers"}'),
    1,
  )
  await assertNothingRuns(t, app)
})

t.test('a tool that runs for seconds does not delay GET /health/live', async (t) => {
  const app = await build(t, { DOCS_DIR: writeDocuments(t, 60) })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const agent = new http.Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())

  // How late a thread without work is woken: on a machine that is busy with other things everything is late. An answer is given in a
  // few such turns; a tool that blocked the server would delay it for seconds.
  const idle = new Worker(
    `const delay = require('node:perf_hooks').monitorEventLoopDelay({ resolution: 5 })
     delay.enable()
     const { parentPort } = require('node:worker_threads')
     parentPort.on('message', () => parentPort.postMessage([delay.percentile(99) / 1e6, delay.max / 1e6]))`,
    { eval: true, execArgv: [] },
  )
  t.teardown(() => idle.terminate())

  const answers = await measure()
  const p99 = answers[Math.floor(answers.length * 0.99)]!
  const worst = answers.at(-1)!
  idle.postMessage('how late?')
  const [[lateMs, latestMs]] = (await once(idle, 'message')) as [[number, number]]
  t.ok(p99 < Math.max(50, 5 * lateMs), `p99 is ${p99.toFixed(1)} ms, that of an idle thread ${lateMs.toFixed(1)} ms`)
  // One long block is in no percentile.
  t.ok(
    worst < Math.max(500, 5 * latestMs),
    `worst is ${worst.toFixed(1)} ms, of an idle thread ${latestMs.toFixed(1)} ms`,
  )

  /** The times to an answer while a tool runs, in milliseconds, ascending. */
  async function measure(): Promise<number[]> {
    let isRunning = true
    const running = run(app, { tool: 'find_duplicates' }).then((response) => {
      isRunning = false
      return response
    })
    const milliseconds: number[] = []
    // From when it was to be asked: what keeps the question from being asked is a delay too.
    let due = performance.now()
    while (isRunning) {
      const request = http.get({ port, host: '127.0.0.1', agent, path: '/health/live' })
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      response.resume()
      await once(response, 'end')
      milliseconds.push(performance.now() - due)
      due = performance.now() + 5
      await sleep(5)
    }
    t.equal((await running).statusCode, 200)
    t.ok(milliseconds.length > 100, `asked ${milliseconds.length} times meanwhile`)
    return milliseconds.sort((a, b) => a - b)
  }
})

t.test('METRICS_TOKEN protects the exposition', async (t) => {
  const app = await build(t, { METRICS_TOKEN: 'secret' })
  t.equal((await app.inject('/metrics')).statusCode, 401)
  t.equal((await app.inject({ url: '/metrics', headers: { authorization: 'Bearer secret' } })).statusCode, 200)
})

t.test('no parameter reads a path outside of the documents', async (t) => {
  const app = await build(t)
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

t.test('a setting that cannot work is one line that names the variable', async (t) => {
  for (const [env, line] of [
    [{ PORT: 'abc' }, /^PORT must be integer, got "abc"$/],
    [{ PORT: '70000' }, /^PORT must be <= 65535, got "70000"$/],
    [{ LOG_LEVEL: 'loud' }, /^LOG_LEVEL must be equal to one of the allowed values: fatal, .*, got "loud"$/],
    [{ DOCS_DIR: '/nowhere' }, /^DOCS_DIR must be a folder that can be read, got "\/nowhere" \(.*\)$/],
    [{ DOCS_DIR: SERVER }, /^DOCS_DIR must be a folder that can be read, got ".*" \(it is no folder\)$/],
    [
      { DATABASE_URL: 'mysql://x' },
      /^DATABASE_URL must be an address that starts with postgres:\/\/ or postgresql:\/\/$/,
    ],
    [
      { DATABASE_URL: 'postgres://127.0.0.1:1/x' },
      /^DATABASE_URL cannot be reached: connect ECONNREFUSED 127.0.0.1:1$/,
    ],
    [
      { DATABASE_URL: '', DATA_DIR: '/dev/null/x' },
      /^DATABASE_URL is not set, .* started in DATA_DIR \/dev\/null\/x: .*$/,
    ],
    [{ REDIS_URL: 'localhost' }, /^REDIS_URL must be an address that starts with redis:\/\/ or rediss:\/\/$/],
    [{ QUEUE_NAME: 'a:b' }, /^QUEUE_NAME must match pattern .*, got "a:b"$/],
    [{ WORKERS: '2' }, /^WORKERS must be <= 1, got "2"$/],
  ] as Array<[Environment, RegExp]>) {
    await t.rejects(build(t, env), { name: 'ConfigError', message: line })
  }
})

t.test('the process', async (t) => {
  t.test('says in one line what is wrong with its configuration, and ends with code 1', async (t) => {
    const occupied = net.createServer().listen(0, '127.0.0.1')
    t.teardown(() => occupied.close())
    await once(occupied, 'listening')
    const { port } = occupied.address() as AddressInfo
    const mistakes: Array<[string, Environment, RegExp]> = [
      [SERVER, { PORT: String(port) }, new RegExp(`^PORT ${port} is in use on 127.0.0.1; set PORT to another one\n$`)],
      [SERVER, { HOST: '203.0.113.1' }, /^HOST 203.0.113.1 is no address of this machine\n$/],
      [WORKER, { DATABASE_URL: '' }, /^DATABASE_URL is not set, and no backend runs on DATA_DIR .*; set either\n$/],
    ]
    await Promise.all(
      mistakes.map(async ([file, env, line]) => {
        const { child, output } = start(t, file, { PORT: '0', DATABASE_URL: postgres.url, ...env })
        const [code] = await once(child, 'close')
        t.equal(code, 1, JSON.stringify(env))
        t.match(output.stderr, line)
      }),
    )
  })

  t.test('ends within 5 s and with code 0 on a signal while it starts, and leaves nothing behind', async (t) => {
    const folder = temporaryFolder(t, 'start')
    const { child, output } = start(t, SERVER, { PORT: '0', DATA_DIR: folder })
    await until('PostgreSQL to be made', () => readdirSync(folder).length > 0)
    const startMs = Date.now()
    child.kill('SIGTERM')
    const [code] = await once(child, 'exit')
    t.equal(code, 0, output.stderr)
    t.ok(Date.now() - startMs < 5000)
    await until('PostgreSQL to have ended', () => !existsSync(`${folder}/postgres/postmaster.pid`))
    t.notOk(readdirSync(folder).some((name) => name !== 'postgres'))
  })

  // The PostgreSQL of its own ends with the process; the next one finds the data as the first has left them.
  const folder = temporaryFolder(t, 'signals')
  const documents = writeDocuments(t, 60)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    t.test(`ends within 5 s and with code 0 on ${signal}, also while a tool runs`, async (t) => {
      const { child, output, url: listens } = start(t, SERVER, { PORT: '0', DOCS_DIR: documents }, folder)
      const url = await listens()
      const answer = fetch(`${url}/api/run`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"tool":"find_duplicates"}',
      }).then((response) => response.status)
      await sleep(300)
      const startMs = Date.now()
      child.kill(signal)
      // npm and the terminal may deliver a signal twice.
      child.kill(signal)
      const [code] = await once(child, 'exit')
      t.equal(code, 0, output.stderr)
      t.ok(Date.now() - startMs < 5000)
      t.equal(await answer, 503, 'the caller is told')
    })
  }
})
