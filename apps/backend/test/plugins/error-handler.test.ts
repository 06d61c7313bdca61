import { startPostgres } from '@data20/dev-services'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import errorHandler from '../../dist/plugins/error-handler.js'
import { assertNothingRuns, build, readValue, run } from '../helpers.ts'

const postgres = await startPostgres({ durable: false })
t.teardown(() => postgres.stop())
const env = { DATABASE_URL: postgres.url }

t.test('errors have one shape and are counted where they belong', async (t) => {
  const app = await build(t, { ...env, BODY_LIMIT: '1000' })
  const rejections = (reason: string) => readValue(app, `tool_rejections_total{reason="${reason}"}`)
  const requests = (status: number) =>
    readValue(app, `http_requests_total{endpoint="/api/run",method="POST",status="${status}"}`)

  const unknown = await run(app, { tool: 'nope' })
  t.match(unknown, { statusCode: 404 })
  t.match(unknown.json(), { statusCode: 404, code: 'UNKNOWN_TOOL', error: 'Not Found', message: /nope/ })
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

t.test('parameters that are nested too deeply are the fault of the caller', async (t) => {
  const app = await build(t, { ...env, BODY_LIMIT: '1000000' })
  const nested = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  const response = await app.inject({
    method: 'POST',
    url: '/api/run',
    headers: { 'content-type': 'application/json' },
    payload: `{"tool":"search","params":{"query":${nested}}}`,
  })
  t.equal(response.statusCode, 400)
  t.match(response.json(), { code: 'INVALID_PARAMETER', details: [{ field: 'params' }] })
  t.equal(await readValue(app, 'tool_rejections_total{reason="invalid_input"}'), 1)
})

t.test('an unknown error keeps its message and its code to the log', async (t) => {
  const secret = Object.assign(new Error('secret'), { code: '42P01' })
  const failing = fp(async (app: FastifyInstance) => {
    await app.register(errorHandler)
    app.get('/', async () => {
      throw secret
    })
  })
  const app = await build(t, {}, failing)
  t.strictSame((await app.inject('/')).json(), {
    statusCode: 500,
    code: 'INTERNAL_SERVER_ERROR',
    error: 'Internal Server Error',
    message: 'Internal error; see the server log',
  })
})
