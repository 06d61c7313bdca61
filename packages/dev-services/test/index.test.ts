import { existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createConnection } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import {
  alertmanager,
  amtool,
  cacheDirectory,
  debianTool,
  openmetricsParser,
  promtool,
  readSamples,
  readValue,
  runTool,
  type Service,
  startAlertmanager,
  startPostgres,
  startPrometheus,
  startRedis,
  ToolUnavailableError,
  temporaryFolder,
  toolOrSkip,
  until,
} from '../src/index.ts'

const EXPOSITION = `# HELP http_requests_total Requests that were answered.
# TYPE http_requests_total counter
http_requests_total{status="200"} 3
`

const ALERTMANAGER_CONFIG = 'route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n'

/** Sets environment variables for the length of a test. */
function setEnvironment(t: Test, variables: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(variables)) {
    const before = process.env[name]
    t.teardown(() => setOne(name, before))
    setOne(name, value)
  }
  function setOne(name: string, value: string | undefined): void {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
}

async function askPostgres(url: string, text: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<Record<string, unknown>>(text)
    return rows[0] && Object.values(rows[0])[0]
  } finally {
    await client.end()
  }
}

/** Sends one inline command and resolves to the first reply, without its line end. */
function askRedis(url: string, command: string): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: hostname, port: Number(port) })
    socket.once('error', reject).once('data', (reply) => {
      resolve(reply.toString().trim())
      socket.destroy()
    })
    socket.write(`${command}\r\n`)
  })
}

function hasEnded(pid: number | undefined): boolean {
  try {
    process.kill(pid!, 0)
    return false
  } catch {
    return true
  }
}

t.test('postgres: kill and restart keep what was committed, stop deletes the temporary data', async (t) => {
  setEnvironment(t, { DATABASE_URL: undefined })
  const server = await toolOrSkip(t, () => startPostgres({ maxConnections: 20, durable: false }))
  if (!server) return
  t.teardown(() => server.stop())
  const data = await askPostgres(server.url, 'show data_directory')
  await askPostgres(server.url, 'create table kept as select 42 as value')
  await askPostgres(server.url, 'checkpoint')

  await server.kill()
  t.ok(hasEnded(server.pid))
  await server.restart()

  t.equal(await askPostgres(server.url, 'select value from kept'), 42)
  t.equal(await askPostgres(server.url, 'show max_connections'), '20')
  await server.stop()
  t.ok(hasEnded(server.pid))
  t.notOk(existsSync(String(data)))
})

t.test('a service that the environment names is used, and is not ours to kill', async (t) => {
  setEnvironment(t, { DATABASE_URL: 'postgres://elsewhere/db', REDIS_URL: 'redis://elsewhere' })
  const services: Service[] = [await startPostgres(), await startRedis()]
  t.same(
    services.map(({ url, source, pid }) => ({ url, source, pid })),
    [
      { url: 'postgres://elsewhere/db', source: 'DATABASE_URL', pid: undefined },
      { url: 'redis://elsewhere', source: 'REDIS_URL', pid: undefined },
    ],
  )
  await t.rejects(services[0]!.kill(), /Expected to kill a service of this process, got .* DATABASE_URL/)
  await t.rejects(services[1]!.restart(), /Expected to restart a service of this process, got .* REDIS_URL/)
  await Promise.all(services.map((service) => service.stop()))
})

t.test('redis: an append-only file keeps the data over kill and restart', async (t) => {
  const directory = temporaryFolder(t, 'dev-services')
  const server = await toolOrSkip(t, () => startRedis({ directory, appendOnly: true }))
  if (!server) return
  t.teardown(() => server.stop())
  t.match(await askRedis(server.url, 'CONFIG GET maxmemory-policy'), /noeviction/)
  t.match(await askRedis(server.url, 'CONFIG GET bind'), /127\.0\.0\.1$/)
  t.equal(await askRedis(server.url, 'SET kept 42'), '+OK')
  const { pid, url } = server

  await server.kill()
  t.ok(hasEnded(pid))
  await t.rejects(askRedis(url, 'PING'), { code: 'ECONNREFUSED' })
  await server.restart()

  t.equal(server.url, url)
  t.not(server.pid, pid)
  t.equal(await askRedis(url, 'GET kept'), '$2\r\n42')
  await server.stop()
  t.ok(hasEnded(server.pid))
})

t.test('redis: without one the data are in memory', async (t) => {
  setEnvironment(t, { REDIS_URL: undefined })
  const server = await toolOrSkip(t, () => startRedis())
  if (!server) return
  t.teardown(() => server.stop())
  await askRedis(server.url, 'SET gone 42')
  await server.restart()
  t.equal(await askRedis(server.url, 'GET gone'), '$-1')
})

t.test('promtool and amtool tell good from bad', async (t) => {
  const metrics = await toolOrSkip(t, promtool)
  const alerts = await toolOrSkip(t, amtool)
  if (!metrics || !alerts) return
  const config = join(temporaryFolder(t, 'dev-services'), 'alertmanager.yml')

  t.match(await runTool(metrics, ['check', 'metrics'], { input: EXPOSITION }), { code: 0 })
  t.match(await runTool(metrics, ['check', 'metrics'], { input: EXPOSITION.replaceAll('_total', '') }), {
    code: 3,
    stderr: /counter metrics should have "_total" suffix/,
  })
  writeFileSync(config, ALERTMANAGER_CONFIG)
  t.match(await runTool(alerts, ['check-config', config]), { code: 0 })
  writeFileSync(config, 'route: { receiver: missing }\n')
  t.match(await runTool(alerts, ['check-config', config]), { code: 1, stdout: /undefined receiver/ })
})

t.test('the OpenMetrics parser accepts what is right and says what is wrong', async (t) => {
  const parser = await toolOrSkip(t, openmetricsParser)
  if (!parser) return
  const right = EXPOSITION.replace('HELP http_requests_total', 'HELP http_requests').replace(
    'TYPE http_requests_total',
    'TYPE http_requests',
  )

  t.match(await runTool(parser, [], { input: `${right}# EOF\n` }), { code: 0, stdout: '1\n' })
  t.match(await runTool(parser, [], { input: right }), { code: 1, stderr: /Missing # EOF/ })
  t.match(await runTool(parser, [], { input: `${EXPOSITION}# EOF\n` }), { code: 1, stderr: /ValueError/ })
})

t.test('prometheus scrapes and answers', async (t) => {
  const target = createServer((_request, response) => {
    response.setHeader('content-type', 'text/plain; version=0.0.4').end(EXPOSITION)
  })
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
  t.teardown(() => target.close().closeAllConnections())
  const { port } = target.address() as AddressInfo
  const config = `
global: { scrape_interval: 1s }
scrape_configs:
  - job_name: little
    static_configs: [{ targets: ['127.0.0.1:${port}'] }]
`
  const server = await toolOrSkip(t, () => startPrometheus({ config }))
  if (!server) return
  t.teardown(() => server.stop())

  await until('a scrape', async () => (await server.query('up')).length > 0, 20_000)

  const labels = { instance: `127.0.0.1:${port}`, job: 'little' }
  t.same(await server.query('up'), [{ labels: { __name__: 'up', ...labels }, value: 1 }])
  t.same(await server.query('http_requests_total * 2'), [{ labels: { ...labels, status: '200' }, value: 6 }])
  t.same(await server.query('-1 / scalar(vector(0))'), [{ labels: {}, value: -Infinity }])
  t.match(await server.targets(), [{ labels, health: 'up', lastError: '' }])
  await t.rejects(server.query('rate('), /Prometheus answered 400: .*parse error/)
  await server.stop()
  t.ok(hasEnded(server.pid))
})

t.test('alertmanager becomes ready', async (t) => {
  const server = await toolOrSkip(t, () => startAlertmanager({ config: ALERTMANAGER_CONFIG }))
  if (!server) return
  t.teardown(() => server.stop())
  const status = await fetch(`${server.url}/api/v2/status`)
  t.match(await status.json(), { cluster: { status: 'disabled' } })
  await server.stop()
  t.ok(hasEnded(server.pid))
})

t.test('a service that does not start says why', async (t) => {
  const tool = await toolOrSkip(t, alertmanager)
  if (!tool) return
  await t.rejects(startAlertmanager({ config: 'route: {}\n', binary: tool }), /did not become ready.*\n?.*route/s)
})

t.test('a tool that cannot be had skips a test on a developer machine and fails it in CI', async (t) => {
  const skipped: string[] = []
  const test = { pass: (message: string) => skipped.push(message) }
  const nowhere = () => debianTool('redis-server')
  // A PATH without apt and Redis is a machine that is not Debian.
  setEnvironment(t, {
    PATH: temporaryFolder(t, 'dev-services'),
    DATA20_CACHE: temporaryFolder(t, 'dev-services'),
    CI: undefined,
  })

  t.equal(await toolOrSkip(test, nowhere), undefined)
  t.match(skipped, [/^redis-server or valkey-server is not on PATH and apt-get is not here to fetch it: install it$/])
  await t.rejects(
    toolOrSkip(test, async () => {
      throw new TypeError('a defect')
    }),
    TypeError,
  )

  setEnvironment(t, { CI: 'true' })
  await t.rejects(toolOrSkip(test, nowhere), ToolUnavailableError)
  t.equal(skipped.length, 1)
})

t.test('a suite that the archive does not have says what to do', async (t) => {
  setEnvironment(t, { DATA20_CACHE: temporaryFolder(t, 'dev-services') })
  await t.rejects(
    promtool({ suite: 'no-such-suite' }),
    /^(promtool or prometheus could not be fetched from Debian no-such-suite: install it|.* is not on PATH)/,
  )
})

t.test('the cache folder can be chosen', async (t) => {
  setEnvironment(t, { DATA20_CACHE: '/somewhere', XDG_CACHE_HOME: '/home/cache' })
  t.equal(cacheDirectory(), '/somewhere')
  setEnvironment(t, { DATA20_CACHE: undefined })
  t.equal(cacheDirectory(), '/home/cache/data20')
  setEnvironment(t, { XDG_CACHE_HOME: undefined })
  t.match(cacheDirectory(), /node_modules\/\.cache\/data20$/)
})

t.test('an exposition is read line by line', async (t) => {
  const exposition = `${EXPOSITION}size{le="+Inf",of="a b"} 2 # {trace_id="1"} 0.5 1.7\nbare -Inf\nmeasured NaN 1700000000\n`

  t.strictSame(readSamples(exposition), [
    { name: 'http_requests_total', labels: { status: '200' }, value: 3 },
    { name: 'size', labels: { le: '+Inf', of: 'a b' }, value: 2 },
    { name: 'bare', labels: {}, value: -Infinity },
    { name: 'measured', labels: {}, value: Number.NaN },
  ])
  t.equal(readValue(exposition, 'http_requests_total{status="200"}'), 3)
  t.equal(readValue(exposition, 'size{le="+Inf",of="a b"}'), 2)
  t.equal(readValue(exposition, 'bare'), -Infinity)
  t.equal(readValue(exposition, 'http_requests_total'), undefined, 'a series is a name with all of its labels')
})

t.test('until resolves to what comes, and says what does not', async (t) => {
  let looks = 0
  t.equal(await until('a third look', () => ++looks === 3 && 'here'), 'here')
  t.equal(await until('a zero', async () => 0), 0)
  await t.rejects(
    until('the impossible', () => undefined, 50),
    { message: 'Expected the impossible within 50 ms' },
  )
  const fail = () => {
    looks += 1
    if (looks < 6) throw new Error('not yet')
    return 'there'
  }
  t.equal(await until('what fails at first', fail), 'there')
  looks = Number.NEGATIVE_INFINITY
  await t.rejects(until('what always fails', fail, 50), { cause: { message: 'not yet' } })
})

t.test('a temporary folder is deleted with its test', async (t) => {
  let folder = ''
  let isThere = false
  await t.test('which uses it', async (t) => {
    folder = temporaryFolder(t, 'dev-services')
    t.teardown(() => {
      isThere = existsSync(folder)
    })
    writeFileSync(join(folder, 'file'), '')
  })
  t.ok(isThere, 'what is torn down later on, a server, still has it')
  t.notOk(existsSync(folder))
})
