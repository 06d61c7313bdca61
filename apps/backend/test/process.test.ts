import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { startPostgres } from '@data20/dev-services'
import t from 'tap'
import {
  type Environment,
  post,
  SERVER,
  start,
  temporaryFolder,
  until,
  WORKER_SERVER,
  writeDocuments,
} from './helpers.ts'

t.test('says in one line what is wrong with its configuration, and ends with code 1', async (t) => {
  const postgres = await startPostgres({ durable: false })
  t.teardown(() => postgres.stop())
  const occupied = net.createServer().listen(0, '127.0.0.1')
  t.teardown(() => occupied.close())
  await once(occupied, 'listening')
  const { port } = occupied.address() as AddressInfo
  const mistakes: Array<[string, Environment, RegExp]> = [
    [SERVER, { PORT: String(port) }, new RegExp(`^PORT ${port} is in use on 127.0.0.1; set PORT to another port\n$`)],
    [SERVER, { HOST: '203.0.113.1' }, /^HOST 203.0.113.1 is not an address of this machine\n$/],
    [
      WORKER_SERVER,
      { DATABASE_URL: '' },
      /^DATABASE_URL is not set, and no backend runs on DATA_DIR .*; set either\n$/,
    ],
  ]
  await Promise.all(
    mistakes.map(async ([file, env, line]) => {
      const folder = temporaryFolder(t, 'mistake')
      const { output, exited } = start(t, file, { PORT: '0', DATABASE_URL: postgres.url, ...env }, folder)
      t.equal(await exited, 1, JSON.stringify(env))
      t.match(output.stderr, line)
      t.strictSame(readdirSync(folder), [], 'nothing is left behind')
    }),
  )
})

// Code 0 includes the time limit: closing that takes more than CLOSE_GRACE_MS and 3.2 s is given up with code 1.

t.test('ends with code 0 on a signal while it starts, and leaves nothing behind', async (t) => {
  const folder = temporaryFolder(t, 'start')
  const { end, output } = start(t, SERVER, { PORT: '0', DATA_DIR: folder })
  await until('PostgreSQL to be made', () => readdirSync(folder).length > 0)
  t.equal(await end('SIGTERM'), 0, output.stderr)
  await until('PostgreSQL to have ended', () => !existsSync(`${folder}/postgres/postmaster.pid`))
  t.notOk(readdirSync(folder).some((name) => name !== 'postgres'))
})

t.test('ends with code 0 on a signal while a tool runs, whose caller gets 503', async (t) => {
  // The PostgreSQL that the process starts ends with it. The next process finds the data.
  const folder = temporaryFolder(t, 'signals')
  const documents = writeDocuments(t, 60)
  let cancelled = 0
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const { child, end, output, url: listens } = start(t, SERVER, { PORT: '0', DOCS_DIR: documents }, folder)
    const url = await listens()
    const history = (await (await fetch(`${url}/api/runs?status=cancelled`)).json()) as { runs: unknown[] }
    t.equal(history.runs.length, cancelled, 'the cancelled runs so far are in the history')
    const answer = fetch(`${url}/api/run`, post({ tool: 'find_duplicates' })).then(
      async (response) => ({ status: response.status, body: await response.json() }),
      (error: Error) => ({ status: 0, body: String(error.cause) }),
    )
    await until('the tool to execute', async () => {
      const exposition = await (await fetch(`${url}/metrics`)).text()
      return exposition.includes('tool_executions_active{tool_name="find_duplicates"} 1\n')
    })
    // npm and the terminal may deliver a signal twice.
    child.kill(signal)
    t.equal(await end(signal), 0, output.stderr)
    t.match(await answer, { status: 503, body: { code: 'CLOSING', status: 'cancelled', run_id: String } }, signal)
    cancelled += 1
  }
})
