import { once } from 'node:events'
import http from 'node:http'
import { promtool, runTool, startPostgres, toolOrSkip } from '@data20/dev-services'
import t from 'tap'
import { tools } from '../dist/knowledge/tools/index.js'
import { build, listen, run, until, writeDocuments } from './helpers.ts'

const postgres = await startPostgres({ durable: false })
t.teardown(() => postgres.stop())
const env = { DATABASE_URL: postgres.url }

t.test('all tools and statuses are at 0 from the start, and promtool accepts the text', async (t) => {
  const app = await build(t, env)
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

t.test('METRICS_TOKEN protects the exposition', async (t) => {
  const app = await build(t, { ...env, METRICS_TOKEN: 'secret' })
  t.equal((await app.inject('/metrics')).statusCode, 401)
  t.equal((await app.inject({ url: '/metrics', headers: { authorization: 'Bearer secret' } })).statusCode, 200)
})

t.test('a tool that runs for seconds does not block GET /health/live', async (t) => {
  const app = await build(t, { ...env, DOCS_DIR: writeDocuments(t, 60) })
  const { port } = await listen(app)
  const agent = new http.Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  let isRunning = true
  const startMs = performance.now()
  const running = run(app, { tool: 'find_duplicates' }).finally(() => {
    isRunning = false
  })

  let answers = 0
  let longestMs = 0
  let previousMs = startMs
  await until('the run to end', async () => {
    const request = http.get({ port, host: '127.0.0.1', agent, path: '/health/live' })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    response.resume()
    await once(response, 'end')
    const nowMs = performance.now()
    longestMs = Math.max(longestMs, nowMs - previousMs)
    previousMs = nowMs
    answers += 1
    return !isRunning
  })
  const durationMs = performance.now() - startMs

  t.equal((await running).statusCode, 200)
  // Relative to the run, since a busy machine delays both.
  t.ok(answers > 10, `${answers} answers during the run`)
  t.ok(longestMs < durationMs / 2, `longest pause ${longestMs.toFixed()} ms of ${durationMs.toFixed()} ms`)
})

t.test('a start that fails closes what it has begun', async (t) => {
  const closed: string[] = []
  const failing = async (app: import('fastify').FastifyInstance): Promise<void> => {
    app.addHook('onClose', async () => void closed.push('first'))
    app.addHook('onClose', async () => void closed.push('second'))
    throw new Error('no start')
  }
  await t.rejects(build(t, env, failing), { message: 'no start' })
  t.strictSame(closed, ['second', 'first'], 'last in, first out')
})
