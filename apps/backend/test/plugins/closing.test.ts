import { once } from 'node:events'
import { startPostgres } from '@data20/dev-services'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import backend from '../../dist/app.js'
import {
  build,
  createDatabase,
  enqueue,
  listen,
  post,
  postOverSocket,
  query,
  run,
  untilActive,
  writeDocuments,
} from '../helpers.ts'

const postgres = await startPostgres({ durable: false })
t.teardown(() => postgres.stop())

/** Holds the key of the next run in the cache, as a folder of thousands of documents does, until `open` is called. */
function holdKey(t: Test, app: FastifyInstance): { reached: Promise<void>; open(): void } {
  const { keyOf } = app.resultCache
  let open = () => {}
  let reach = () => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const reached = new Promise<void>((resolve) => {
    reach = resolve
  })
  app.resultCache.keyOf = async (...args) => {
    reach()
    await gate
    return keyOf(...args)
  }
  t.teardown(() => open())
  return { reached, open }
}

/** What the history says of the only run. */
async function theRun(url: string): Promise<unknown> {
  const rows = await query(url, 'SELECT status, error FROM data20.runs')
  return rows.length === 1 ? rows[0] : rows
}

interface Answer {
  status: number
  connection?: string | null
  body: unknown
}

/** Asks, with a handler on the promise before anything else is awaited. */
function ask(url: string, init?: RequestInit): Promise<Answer> {
  return fetch(url, init).then(
    async (response) => ({
      status: response.status,
      connection: response.headers.get('connection'),
      body: await response.json(),
    }),
    (error: Error) => ({ status: 0, body: String(error.cause) }),
  )
}

const CLOSING = { statusCode: 503, code: 'CLOSING', error: 'Service Unavailable', message: 'The backend is closing' }

t.test('a run that still waits for its key is cancelled by a shutdown, and its caller is told', async (t) => {
  const DATABASE_URL = await createDatabase(postgres.url)
  const app = await build(t, { DATABASE_URL })
  const { url } = await listen(app)
  const key = holdKey(t, app)
  const answer = ask(`${url}/api/run`, post({ tool: 'build_graph' }))
  await key.reached

  // The key is never given: without the abort this waits for ever.
  await app.close()

  const { status, connection, body } = await answer
  t.strictSame({ status, connection }, { status: 503, connection: 'close' })
  t.match(body, { ...CLOSING, run_id: String, tool: 'build_graph', status: 'cancelled' })
  t.match(await theRun(DATABASE_URL), { status: 'cancelled', error: { code: 'CLOSING' } })
})

t.test('a run that executes is cancelled by a shutdown, and its caller is told', async (t) => {
  const DATABASE_URL = await createDatabase(postgres.url)
  const app = await build(t, { DATABASE_URL, DOCS_DIR: writeDocuments(t, 60) })
  const { url } = await listen(app)
  const answer = ask(`${url}/api/run`, post({ tool: 'find_duplicates' }))
  await untilActive(app, 'find_duplicates')

  await app.close()

  const { status, connection, body } = await answer
  t.strictSame({ status, connection }, { status: 503, connection: 'close' })
  t.match(body, { ...CLOSING, run_id: String, status: 'cancelled' })
  t.match(await theRun(DATABASE_URL), { status: 'cancelled', error: { code: 'CLOSING' } })
})

t.test('a run without a connection is over before the database is closed', async (t) => {
  const DATABASE_URL = await createDatabase(postgres.url)
  const app = await build(t, { DATABASE_URL })
  const key = holdKey(t, app)
  const answer = run(app, { tool: 'build_graph' })
  await key.reached

  await app.close()

  t.match((await answer).json(), { ...CLOSING, status: 'cancelled' })
  t.match(await theRun(DATABASE_URL), { status: 'cancelled', error: { code: 'CLOSING' } })
})

t.test('a client that leaves while its run waits for its key cancels it, and nothing executes', async (t) => {
  const DATABASE_URL = await createDatabase(postgres.url)
  const app = await build(t, { DATABASE_URL })
  const { port } = await listen(app)
  const key = holdKey(t, app)
  const responses: Array<{ destroyed: boolean }> = []
  app.server.on('request', (_request, response) => responses.push(response))
  const socket = postOverSocket(port, { tool: 'build_graph' })
  await key.reached

  socket.destroy()
  // The key is never given.
  await app.running.settled()

  t.equal(responses[0]?.destroyed, true)
  const { body } = await app.inject('/metrics')
  t.match(body, 'tool_executions_total{status="cancelled",tool_name="build_graph"} 1\n')
  t.match(body, 'tool_executions_total{status="completed",tool_name="build_graph"} 0\n')
  await app.runRecorder.settle()
  t.match(await theRun(DATABASE_URL), { status: 'cancelled', error: { code: 'CLIENT_LEFT' } })
})

t.test('a client that left before its request is handled cancels its run', async (t) => {
  const DATABASE_URL = await createDatabase(postgres.url)
  const late = fp(async (app: FastifyInstance) => {
    // The handler gets the request when the client has left, as it does when the event loop was blocked.
    app.addHook('preHandler', async (request, reply) => {
      if (request.method === 'POST') await once(reply.raw, 'close')
    })
    await app.register(backend)
  })
  const app = await build(t, { DATABASE_URL }, late)
  const { port } = await listen(app)
  const begun = once(app.server, 'request')
  const ended = new Promise<void>((resolve) => {
    const { begin } = app.running
    app.running.begin = (response) => {
      const run = begin(response)
      const { end } = run
      run.end = () => {
        end()
        resolve()
      }
      return run
    }
  })
  const socket = postOverSocket(port, { tool: 'build_graph' })
  await begun

  socket.destroy()
  await ended

  await app.runRecorder.settle()
  t.match(await theRun(DATABASE_URL), { status: 'cancelled', error: { code: 'CLIENT_LEFT' } })
})

t.test('a request that arrives while the application closes is refused in our shape', async (t) => {
  let letGo = () => {}
  const held = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const holding = fp(async (app: FastifyInstance) => {
    await app.register(backend)
    app.addHook('preClose', () => held)
  })
  const app = await build(t, { DATABASE_URL: await createDatabase(postgres.url) }, holding)
  t.teardown(() => letGo())
  const { url } = await listen(app)
  const closed = app.close()

  for (const [path, init] of [
    ['/health/live', undefined],
    ['/api/run', post({ tool: 'build_graph' })],
    ['/api/run', post({ tool: 'build_graph', mode: 'queued' })],
    ['/nowhere', undefined],
  ] as const) {
    t.match(await ask(url + path, init), { status: 503, connection: 'close', body: CLOSING }, path)
  }
  letGo()
  await closed
})

t.test('a queued run whose process closes stays accepted', async (t) => {
  const DATABASE_URL = await createDatabase(postgres.url)
  const app = await build(t, { DATABASE_URL, WORKERS: '0' })
  await enqueue(app, { tool: 'build_graph' })
  await app.close()
  t.match(await theRun(DATABASE_URL), { status: 'queued', error: null })
})
