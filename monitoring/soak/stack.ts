import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  alertmanager,
  freePort,
  type PrometheusService,
  prometheus,
  startAlertmanager,
  startPostgres,
  startPrometheus,
  toolOrSkip,
} from '@data20/dev-services'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import {
  ALERTMANAGER_SUITE,
  MONITORING,
  ofSuite,
  type Received,
  read,
  replace,
  SUITES,
  slackMessages,
  startReceiver,
  until,
} from '../test/helpers.ts'
import { SPECIFICATION, type Traffic } from '../test/specification.ts'

// The shipped files with a real backend, a real Prometheus of each version and a real Alertmanager. What is changed in them, by text: how
// long things take, and where things are.

const SERVER = join(MONITORING, '../apps/backend/dist/server.js')
const FIXTURE = join(MONITORING, '../apps/backend/test/fixtures/small')

const TOOLS = ['build_graph', 'search', 'extract_keywords', 'find_duplicates', 'check_links', 'document_stats']

t.test('the whole: traffic, queries, alerts and their messages', { timeout: 280_000 }, async (t) => {
  const alertmanagerBinary = await toolOrSkip(t, () => alertmanager({ suite: ALERTMANAGER_SUITE }))
  const postgres = await toolOrSkip(t, () => startPostgres({ durable: false }))
  if (!alertmanagerBinary || !postgres) return
  t.teardown(() => postgres.stop())
  const directory = mkdtempSync(join(tmpdir(), 'stack-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const receiver = await startReceiver(t)
  const backend = createBackend(t, { directory, databaseUrl: postgres.url, port: await freePort() })
  const [alerts] = await Promise.all([startAlerts(t, directory, receiver.url, alertmanagerBinary), backend.start()])
  const servers = await startServers(t, directory, { backend: backend.port, alertmanager: new URL(alerts.url).port })
  const [main] = servers
  if (!main) return

  // What a counter had before it was first seen is in no rate. Most are there as zeros; a status that nobody could foresee is not.
  await backend.warmUp()
  for (const server of servers) {
    await until('a scrape', async () => {
      const seen = await server.query('count_over_time(http_requests_total{status=~"202|404|500"}[1m]) >= 2')
      const counted = seen.filter(({ labels }) => /^\/api\/run$|^unmatched$/.test(labels.endpoint!))
      return new Set(counted.map(({ labels }) => labels.status)).size === 3
    })
  }
  const traffic = await drive(backend)
  // One more is from before.
  await until('the last task to be counted', async () => {
    const [sample] = await main.query('sum(celery_tasks_total)')
    return sample!.value >= 1 + total(traffic.tasks)
  })
  // A rate stretches what it has seen by half a scrape interval at each end: the longer it has looked, the less that is.
  for (const server of servers) {
    await until('half a minute of samples', async () => {
      const seen = await server.query(
        'count_over_time(http_requests_total{endpoint="unmatched",status="404"}[5m]) >= 25',
      )
      return seen.length > 0
    })
  }

  for (const server of servers) {
    t.test(`the expressions of the specification, unedited: ${server.version}`, async (t) => {
      for (const { expression, check } of SPECIFICATION) {
        try {
          const samples = await server.query(expression)
          if (samples.length === 0) throw new Error('Expected series, got none')
          check(samples, traffic)
          t.pass(expression)
        } catch (error) {
          t.fail(`${expression}: ${(error as Error).message}`)
        }
      }
    })
    t.test(`no rule fails, no target is down, jobs without a file have none: ${server.version}`, async (t) => {
      const { data } = (await (await fetch(`${server.url}/api/v1/rules`)).json()) as {
        data: { groups: Array<{ rules: Array<{ name: string; health: string; lastError?: string }> }> }
      }
      const unhealthy = data.groups.flatMap((group) => group.rules).filter(({ health }) => health !== 'ok')
      t.strictSame(
        unhealthy.map(({ name, lastError }) => `${name}: ${lastError}`),
        [],
      )
      const targets = await server.targets()
      t.strictSame(targets.map(({ labels, health }) => `${labels.job} ${health}`).sort(), [
        'alertmanager up',
        'backend up',
        'prometheus up',
      ])
    })
  }

  t.test('the metrics that Datadog is told to take are there', async (t) => {
    const { instances } = parse(read('integrations/datadog-openmetrics/conf.yaml'))
    const exposition = await (await fetch(`${backend.url}/metrics`)).text()
    for (const name of instances[0].metrics) t.match(exposition, new RegExp(`^# TYPE ${name}(?:_total)? `, 'm'), name)
  })

  t.test('the Watchdog reaches the dead-man service', async (t) => {
    const watchdog = await until('the Watchdog', () => ofDeadMan(receiver.received))
    t.match(watchdog, { status: 'firing', alerts: [{ labels: { alertname: 'Watchdog', severity: 'none' } }] })
  })

  t.test('errors reach Slack as HighHTTPErrorRate with endpoint and percentage, and a link that works', async (t) => {
    const { title, text } = await until('HighHTTPErrorRate', () =>
      slackMessages(receiver.received).find(
        ({ channel, title }) => channel === '#alerts' && /HighHTTPErrorRate/.test(title),
      ),
    )
    t.equal(title, '[FIRING:1] HighHTTPErrorRate (warning)')
    const [, percentage] = /HTTP error rate is ([\d.]+)% on \/api\/run \(threshold: 5%\)/.exec(text) ?? []
    // The alert begins while the errors are still coming, so it says their share up to then.
    const sent = (100 * traffic.requests['POST /api/run 500']!) / total(traffic.requests, 'POST /api/run')
    t.ok(Number(percentage) > 5 && Number(percentage) < sent * 1.12, `${percentage} % said, ${sent} % sent: ${text}`)
    const [runbook] = /http:\/\/localhost:9090\/user\/\w+\.md/.exec(text) ?? []
    const response = await fetch(runbook!.replace('http://localhost:9090', main.url))
    t.match(await response.text(), '# HighHTTPErrorRate\n')
  })

  t.test('a killed backend pages ServiceDown, which ends when it is back', async (t) => {
    const pages = () =>
      slackMessages(receiver.received).filter(({ channel, title }) => channel === '#pages' && /ServiceDown/.test(title))
    t.strictSame(pages(), [])
    await backend.kill()
    const page = await until('a page', () => pages()[0])
    t.match(page.title, '[FIRING:1] ServiceDown (critical)')
    t.match(page.text, `backend at 127.0.0.1:${backend.port} cannot be scraped`)
    await backend.start()
    await until('the end of it', () => pages().some(({ title }) => title === '[RESOLVED] ServiceDown (critical)'))
  })
})

interface Backend {
  port: number
  url: string
  documents: string
  start(): Promise<void>
  /** A request for each series that does not exist as 0 from the start. */
  warmUp(): Promise<void>
  kill(): Promise<void>
}

/** The backend of the workspace as a process, on documents that can be taken away. */
function createBackend(
  t: Test,
  { directory, databaseUrl, port }: { directory: string; databaseUrl: string; port: number },
): Backend {
  const url = `http://127.0.0.1:${port}`
  const documents = join(directory, 'documents')
  cpSync(FIXTURE, documents, { recursive: true })
  let child: ChildProcess | undefined
  let isOver = false
  t.teardown(() => {
    isOver = true
    return end('SIGTERM')
  })
  // A run that is cut short leaves no process behind.
  process.once('exit', () => child?.kill('SIGKILL'))
  return { port, url, documents, start, warmUp, kill: () => end('SIGKILL') }

  async function warmUp(): Promise<void> {
    const warmUpTraffic = createClient(url)
    await warmUpTraffic.get('/missing', 'unmatched')
    await warmUpTraffic.runQueued('search')
    renameSync(documents, `${documents}-away`)
    await warmUpTraffic.run('search', { cache: false })
    renameSync(`${documents}-away`, documents)
  }

  async function start(): Promise<void> {
    if (isOver) throw new Error('The test is over')
    const env = {
      ...process.env,
      PORT: String(port),
      HOST: '127.0.0.1',
      DATA_DIR: join(directory, 'data'),
      DOCS_DIR: documents,
      DATABASE_URL: databaseUrl,
      REDIS_URL: '',
      LOG_LEVEL: 'silent',
      QUEUE_ATTEMPTS: '2',
      QUEUE_BACKOFF_MS: '0',
    }
    child = spawn(process.execPath, [SERVER], { env, stdio: ['ignore', 'ignore', 'inherit'] })
    await until('the backend to be ready', async () => (await fetch(`${url}/health/ready`)).ok)
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
}

/** Sends requests, and counts them. */
function createClient(url: string) {
  const traffic: Traffic = { requests: {}, executions: {}, tasks: {}, lookups: {} }
  return { traffic, add, get, run, runQueued }

  function add(counts: Record<string, number>, key: string): void {
    counts[key] = (counts[key] ?? 0) + 1
  }

  async function get(path: string, endpoint = path): Promise<{ status: string }> {
    const response = await fetch(url + path)
    add(traffic.requests, `GET ${endpoint} ${response.status}`)
    return (await response.json()) as { status: string }
  }

  async function run(tool: string, more: object = {}): Promise<{ run_id: string; status: string; cached?: boolean }> {
    const params = tool === 'search' ? { query: 'guide' } : {}
    const response = await fetch(`${url}/api/run`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ tool, params, ...more }),
    })
    add(traffic.requests, `POST /api/run ${response.status}`)
    return (await response.json()) as { run_id: string; status: string; cached?: boolean }
  }

  async function runQueued(tool: string): Promise<string> {
    const { run_id } = await run(tool, { mode: 'queued' })
    const status = await until(`the run of ${tool} to end`, async () => {
      const run = await get(`/api/runs/${run_id}`, '/api/runs/:id')
      return /completed|failed/.test(run.status) && run.status
    })
    add(traffic.tasks, `${tool} ${status}`)
    return status
  }
}

/** Sends requests of every kind and resolves to what they were, once their queued runs have ended. */
async function drive({ url, documents }: Backend): Promise<Traffic> {
  const { traffic, add, get, run, runQueued } = createClient(url)
  for (let count = 0; count < 40; count++) {
    await get('/api/tools')
    add(traffic.lookups, `tool_registry ${count === 0 ? 'miss' : 'hit'}`)
  }
  for (let count = 0; count < 10; count++) await get('/missing', 'unmatched')
  for (const tool of [...TOOLS, ...TOOLS, ...TOOLS]) {
    const { cached } = await run(tool)
    add(traffic.lookups, `tool_results ${cached ? 'hit' : 'miss'}`)
    if (!cached) add(traffic.executions, `${tool} completed`)
  }
  for (const tool of ['search', 'search', 'document_stats', 'document_stats', 'document_stats']) {
    add(traffic.executions, `${tool} ${await runQueued(tool)}`)
  }
  // Without the documents every tool fails.
  rmSync(documents, { recursive: true })
  for (let count = 0; count < 12; count++) {
    await run('build_graph', { cache: false })
    add(traffic.executions, 'build_graph failed')
  }
  // Two attempts, of which the first is tried again.
  const status = await runQueued('search')
  for (let count = 0; count < 2; count++) add(traffic.executions, `search ${status}`)
  cpSync(FIXTURE, documents, { recursive: true })
  return traffic
}

/** An Alertmanager with the shipped configuration, whose messages go to the receiver. */
async function startAlerts(
  t: Test,
  directory: string,
  receiverUrl: string,
  binary: NonNullable<Parameters<typeof startAlertmanager>[0]['binary']>,
): ReturnType<typeof startAlertmanager> {
  const home = join(directory, 'alertmanager')
  cpSync(join(MONITORING, 'alertmanager'), home, { recursive: true })
  writeFileSync(join(home, 'slack_url'), `${receiverUrl}/slack`)
  writeFileSync(join(home, 'dead_man_url'), `${receiverUrl}/dead-man`)
  let config = replace(readFileSync(join(home, 'alertmanager.yml'), 'utf8'), '/run/secrets', home)
  config = replace(config, /group_wait: [1-9]\d*s/g, 'group_wait: 1s')
  config = replace(config, /group_interval: \d+m/g, 'group_interval: 1s')
  const server = await startAlertmanager({ config, directory: home, binary })
  t.teardown(() => server.stop())
  return server
}

/** A Prometheus of each version with the shipped configuration and rules. */
async function startServers(
  t: Test,
  directory: string,
  ports: { backend: number; alertmanager: string },
): Promise<Array<PrometheusService & { version: string }>> {
  const starting = SUITES.map(async (suite) => {
    const binary = await ofSuite(t, suite, prometheus)
    if (!binary) return []
    const home = join(directory, suite.suite)
    cpSync(join(MONITORING, 'prometheus'), home, { recursive: true })
    const port = await freePort()
    let config = readFileSync(join(home, 'prometheus.yml'), 'utf8')
    config = replace(config, /(?<=(?:scrape_interval|scrape_timeout|evaluation_interval): )\d+s/g, '1s')
    config = replace(config, 'backend:8001', `127.0.0.1:${ports.backend}`)
    config = replace(config, 'alertmanager:9093', `127.0.0.1:${ports.alertmanager}`)
    config = replace(config, 'localhost:9090', `127.0.0.1:${port}`)
    for (const name of readdirSync(join(home, 'alerts'))) {
      const file = join(home, 'alerts', name)
      writeFileSync(file, replace(readFileSync(file, 'utf8'), /for: [1-9]\d*[mh]/g, 'for: 1s'))
    }
    const args = ['--rules.alert.resend-delay=1s', `--web.user-assets=${join(MONITORING, 'runbooks')}`]
    const server = await startPrometheus({ config, directory: home, port, binary, args })
    t.teardown(() => server.stop())
    const response = await fetch(`${server.url}/api/v1/status/buildinfo`)
    const { data } = (await response.json()) as { data: { version: string } }
    return [Object.assign(server, { version: `Prometheus ${data.version}` })]
  })
  return (await Promise.all(starting)).flat()
}

function ofDeadMan(received: Received[]): unknown {
  const one = received.find(({ path }) => path === '/dead-man')
  return one && JSON.parse(one.body.toString())
}

function total(counts: Record<string, number>, prefix = ''): number {
  return Object.entries(counts)
    .filter(([key]) => key.startsWith(prefix))
    .reduce((sum, [, count]) => sum + count, 0)
}
