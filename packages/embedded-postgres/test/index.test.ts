import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { type PostgresOptions, type PostgresServer, PostgresUnavailableError, startPostgres } from '../src/index.ts'

function temporary(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'embedded-postgres-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'data')
}

/** Returns a data directory: a copy of the template, which takes a tenth of the time of creating one. */
function prepared(t: Test): string {
  const directory = temporary(t)
  cpSync(template, directory, { recursive: true })
  return directory
}

async function start(t: Test, options: PostgresOptions): Promise<PostgresServer> {
  const server = await startPostgres(options)
  t.teardown(() => server.stop())
  return server
}

async function ask(url: string, text: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<Record<string, unknown>>(text)
    return rows[0] && Object.values(rows[0])[0]
  } finally {
    await client.end()
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // In a container without a reaping init process, an orphan that has ended stays as a zombie.
    return !existsSync('/proc/self/stat') || !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

async function hasEnded(pid: number): Promise<boolean> {
  const deadline = Date.now() + 60_000
  while (isRunning(pid) && Date.now() < deadline) await sleep(20)
  return !isRunning(pid)
}

function postmasterPid(directory: string): number {
  return Number(readFileSync(join(directory, 'postmaster.pid'), 'utf8').split('\n')[0])
}

/** Starts a server from another process, which can be killed, and resolves when the server is running. */
async function startElsewhere(t: Test, directory: string) {
  const built = new URL('../dist/index.js', import.meta.url).href
  const program = `import { startPostgres } from '${built}'
    const { url, pid } = await startPostgres({ directory: ${JSON.stringify(directory)} })
    console.log(JSON.stringify({ url, pid }))
    process.stdin.resume().on('end', () => process.exit())`
  // Without the loader that tap adds to NODE_OPTIONS.
  const owner = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, '--input-type=module', '-e', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => owner.kill('SIGKILL'))
  const lines = createInterface({ input: owner.stdout })
  // Ends with the process, so a program that fails does not leave the test waiting.
  const { value: line } = await lines[Symbol.asyncIterator]().next()
  if (line === undefined) throw new Error(`Expected a server of another process, got exit code ${owner.exitCode}`)
  return { owner, ...(JSON.parse(line) as { url: string; pid: number }) }
}

const template = temporary(t)

t.test('a server that is started answers, durably, and stop leaves nothing behind', async (t) => {
  const directory = template
  const server = await start(t, { directory, maxConnections: 17 })

  t.equal(await ask(server.url, 'select 6 * 7'), 42)
  t.equal(await ask(server.url, 'show fsync'), 'on')
  t.equal(await ask(server.url, 'show max_connections'), '17')
  t.equal(await ask(server.url, 'show listen_addresses'), '127.0.0.1')
  t.equal(server.isShared, false)

  const began = Date.now()
  await server.stop()
  t.ok(Date.now() - began < 5_000, 'stopped in less than 5 s')
  t.notOk(isRunning(server.pid), 'the postmaster has ended')
  t.notOk(existsSync(join(directory, 'postmaster.pid')))
  await server.stop()
})

t.test('nobody connects without the password or from outside', async (t) => {
  const directory = prepared(t)
  const server = await start(t, { directory, durable: false })
  const { port, password } = new URL(server.url)

  t.equal(statSync(join(directory, 'superuser.password')).mode & 0o077, 0, 'only the owner reads the password')
  await t.rejects(ask(server.url.replace(password, 'guess'), 'select 1'), /password authentication failed/)

  const outside = Object.values(networkInterfaces())
    .flat()
    .find((address) => address && !address.internal && address.family === 'IPv4')
  // Without a network the other loopback addresses show the same.
  const socket = createConnection({ host: outside?.address ?? '127.0.0.2', port: Number(port) })
  const [error] = await once(socket, 'error')
  t.equal(error.code, 'ECONNREFUSED')
})

t.test('what was committed survives kill and restart, at the same address', async (t) => {
  const directory = prepared(t)
  const server = await start(t, { directory })
  const { url, pid } = server
  await ask(url, 'create table kept (value int)')
  const busy = new pg.Client({ connectionString: url })
  busy.on('error', () => {})
  await busy.connect()
  const backend = (await busy.query('select pg_backend_pid() as pid')).rows[0].pid as number
  await busy.query('insert into kept values (42)')

  const waiting = t.rejects(busy.query('select pg_sleep(60)'), 'a query in flight fails')
  await server.kill()
  await waiting

  t.notOk(isRunning(pid), 'the postmaster has ended')
  t.notOk(isRunning(backend), 'the backend of a busy connection has ended')
  await t.rejects(ask(url, 'select 1'), { code: 'ECONNREFUSED' })

  await server.restart()
  t.equal(server.url, url)
  t.not(server.pid, pid)
  t.equal(await ask(url, 'select value from kept'), 42)
})

t.test('a busy server is stopped in less than 5 s', async (t) => {
  const server = await start(t, { directory: prepared(t), durable: false })
  const busy = new pg.Client({ connectionString: server.url })
  busy.on('error', () => {})
  await busy.connect()
  const waiting = t.rejects(busy.query('select pg_sleep(60)'))

  const began = Date.now()
  await server.stop()
  await waiting
  t.ok(Date.now() - began < 5_000)
})

t.test('a server that a killed run left is replaced at its address', async (t) => {
  const directory = prepared(t)
  const left = await startElsewhere(t, directory)
  await ask(left.url, 'create table kept as select 42 as value')
  left.owner.kill('SIGKILL')
  await once(left.owner, 'exit')
  t.equal(await ask(left.url, 'select value from kept'), 42, 'the server outlives the kill')

  const server = await start(t, { directory })

  t.equal(server.url, left.url)
  t.not(server.pid, left.pid)
  t.notOk(server.isShared)
  t.equal(await ask(server.url, 'select value from kept'), 42)
  await server.stop()
  t.notOk(existsSync(join(directory, 'postmaster.pid')))
})

t.test('a server whose owner lives is shared, and is the owner to stop', async (t) => {
  const directory = prepared(t)
  const owner = await start(t, { directory, durable: false })
  const sharer = await startPostgres({ directory })

  t.equal(sharer.url, owner.url)
  t.equal(sharer.pid, owner.pid)
  t.equal(sharer.isShared, true)
  await t.rejects(sharer.kill(), /Expected to kill a server of this process/)
  await t.rejects(sharer.restart(), /Expected to restart a server of this process/)
  await sharer.stop()
  t.equal(await ask(owner.url, 'select 1'), 1, 'it still runs')
})

t.test('two processes that start at once on one directory make it once and share one server', async (t) => {
  const directory = temporary(t)
  const [first, second] = await Promise.all([startElsewhere(t, directory), startElsewhere(t, directory)])
  t.equal(first.pid, second.pid)
  t.equal(first.url, second.url)
  t.same(readdirSync(dirname(directory)), ['data'], 'nothing of the slower one is left')

  for (const { owner } of [first, second]) owner.stdin.end()
  t.ok(await hasEnded(first.pid))
})

t.test('the process that happens to have the number in postmaster.pid is left alone', async (t) => {
  const directory = prepared(t)
  const server = await start(t, { directory, durable: false })
  const file = join(directory, 'postmaster.pid')
  const [, ...lines] = readFileSync(file, 'utf8').split('\n')
  await server.stop()
  const unrelated = spawn('sleep', ['60'])
  const ended: unknown[] = []
  unrelated.once('exit', (...how) => ended.push(how))
  t.teardown(() => unrelated.kill('SIGKILL'))
  writeFileSync(file, [unrelated.pid, ...lines].join('\n'))

  await server.restart()
  t.equal(await ask(server.url, 'select 42'), 42)
  t.not(server.pid, unrelated.pid)
  t.equal(postmasterPid(directory), server.pid)
  await server.stop()

  t.ok(isRunning(unrelated.pid!), 'the unrelated process runs')
  t.same(ended, [])
})

t.test('the server ends with a process that exits without stopping it', async (t) => {
  const directory = prepared(t)
  const { owner, pid } = await startElsewhere(t, directory)
  owner.stdin.end()
  await once(owner, 'exit')

  t.ok(await hasEnded(pid))
  t.notOk(existsSync(join(directory, 'postmaster.pid')))
})

t.test('a process that exits while initdb works leaves nothing behind, and its own exit code', async (t) => {
  const built = new URL('../dist/index.js', import.meta.url).href
  for (const milliseconds of [100, 240, 400, 600, 800, 1010]) {
    const folder = temporary(t)
    const program = `import { startPostgres } from '${built}'
      startPostgres({ directory: ${JSON.stringify(join(folder, 'postgres'))} }).catch(() => {})
      setTimeout(() => process.exit(0), ${milliseconds})`
    const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, '--input-type=module', '-e', program])
    t.teardown(() => child.kill('SIGKILL'))

    const [code] = await once(child, 'exit')

    t.equal(code, 0, `after ${milliseconds} ms`)
    // A slow machine has not even made the folder by then.
    const names = existsSync(folder) ? readdirSync(folder) : []
    t.strictSame(
      names.filter((name) => name !== 'postgres'),
      [],
    )
  }
})

t.test('a directory of another major version says what to do', async (t) => {
  const directory = prepared(t)
  const server = await start(t, { directory, durable: false })
  await server.stop()
  writeFileSync(join(directory, 'PG_VERSION'), '7\n')

  const failure = startPostgres({ directory })
  await t.rejects(failure, PostgresUnavailableError)
  await t.rejects(failure, /Expected a PostgreSQL 7, which made .*, got only .*: install PostgreSQL 7, or move/)
})
