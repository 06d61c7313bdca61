import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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
  until,
} from '@data20/dev-services'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { type Backend, createBackend } from './backend.ts'
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
} from './helpers.ts'
import { choicesOf, type PanelQuery, panelQueries, valuesOf, variables } from './panels.ts'
import { SPECIFICATION, type Traffic } from './specification.ts'
import { drive, warmUp } from './traffic.ts'

// The shipped files with a real backend, a real Prometheus of each version and a real Alertmanager. Only durations and
// addresses in the files are replaced.

// `rate` extrapolates by up to half an interval at the start of its range and a whole one at its end. With more samples
// the error is smaller.
const SAMPLES = 15

/** The longest wait for numbers in a panel. */
const PANELS_MS = 60_000

const PANEL_QUERIES = panelQueries()

/** Metrics that may be 0, and why. Every other panel must show what was sent. */
const QUIET: Record<string, string> = {
  db_slow_queries: 'no query takes a second',
  'result!="acquired"': 'every caller gets a connection',
  db_connections_idle_in_transaction: 'no transaction idles',
  queue_tasks_stalled_total: 'no worker is lost before the end',
  queue_paused: 'nobody pauses it',
  queue_worker_paused: 'nobody pauses a worker',
  queue_task_errors_total: 'every task may succeed',
  metrics_collector_success: 'no collector fails',
  metrics_series_overflow_total: 'no metric reaches its cardinality limit',
  system_swap_used_bytes: 'the machine may have none',
  system_network: 'the machine may send nothing',
  container_cpu_throttled_seconds_total: 'the machine may have no limit',
  http_run_slow_per_request: 'no request takes five seconds',
  tool_slow_per_execution: 'no run takes five minutes',
  ...Object.fromEntries(
    [
      ...['http_requests_in_flight', 'tool_executions_active', 'db_connections_active', 'db_connections_waiting'],
      ...['queue_tasks_active', 'queue_length', 'queue_jobs', 'queue_oldest_waiting_seconds'],
    ].map((name) => [name, 'what is in flight may have ended at the next scrape']),
  ),
}

t.test('the whole: traffic, queries, alerts and their messages', { timeout: 280_000 }, async (t) => {
  const stack = await startStack(t)
  if (!stack) return
  const { backend, servers, received, traffic } = stack
  const [main] = servers
  if (!main) return

  await testDashboards(t, stack)
  for (const server of servers) {
    await until(`${SAMPLES} samples`, async () => {
      const counts = await Promise.all([
        server.query('count_over_time(http_requests_total{endpoint="unmatched",status="404"}[5m])'),
        server.query('count_over_time(celery_tasks_total{task_name="search",status="failure"}[5m])'),
      ])
      return counts.every(([sample]) => sample && sample.value >= SAMPLES)
    })
  }
  for (const server of servers) {
    testSpecification(t, server, traffic)
    testHealth(t, server)
  }

  t.test('the metrics that Datadog is told to take are there', async (t) => {
    const { instances } = parse(read('integrations/datadog-openmetrics/conf.yaml'))
    const exposition = await (await fetch(`${backend.url}/metrics`)).text()
    for (const name of instances[0].metrics) t.match(exposition, new RegExp(`^# TYPE ${name}(?:_total)? `, 'm'), name)
  })

  t.test('the Watchdog reaches the dead-man service', async (t) => {
    const watchdog = await until('the Watchdog', () => ofDeadMan(received))
    t.match(watchdog, { status: 'firing', alerts: [{ labels: { alertname: 'Watchdog', severity: 'none' } }] })
  })

  t.test('errors reach Slack as HighHTTPErrorRate with endpoint and percentage, and a link that works', async (t) => {
    const { title, text } = await until('HighHTTPErrorRate', () =>
      slackMessages(received).find(({ channel, title }) => channel === '#alerts' && /HighHTTPErrorRate/.test(title)),
    )
    t.equal(title, '[FIRING:1] HighHTTPErrorRate (warning)')
    const [, percentage] = /HTTP error rate is ([\d.]+)% on \/api\/run \(threshold: 5%\)/.exec(text) ?? []
    // The alert fires while errors are still coming, so it reports their share up to then.
    const sent = (100 * traffic.requests['POST /api/run 500']!) / total(traffic.requests, 'POST /api/run')
    t.ok(Number(percentage) > 5 && Number(percentage) < sent * 1.12, `${percentage} % said, ${sent} % sent: ${text}`)
    const [runbook] = /http:\/\/localhost:9090\/user\/\w+\.md/.exec(text) ?? []
    const response = await fetch(runbook!.replace('http://localhost:9090', main.url))
    t.match(await response.text(), '# HighHTTPErrorRate\n')
  })

  t.test('a killed backend pages ServiceDown, which ends when it is back', async (t) => {
    const pages = () =>
      slackMessages(received).filter(({ channel, title }) => channel === '#pages' && /ServiceDown/.test(title))
    t.strictSame(pages(), [])
    await backend.kill()
    const page = await until('a page', () => pages()[0])
    t.match(page.title, '[FIRING:1] ServiceDown (critical)')
    t.match(page.text, '0% of the targets of backend can be scraped')
    await backend.start()
    await until('the end of it', () => pages().some(({ title }) => title === '[RESOLVED] ServiceDown (critical)'))
  })
})

/** A Prometheus and its version. */
type Server = PrometheusService & { version: string }

/** Everything that runs, after the traffic. */
interface Stack {
  backend: Backend
  servers: Server[]
  /** What Slack and the dead-man service would have got. */
  received: Received[]
  traffic: Traffic
}

/** Starts the stack and sends the traffic; resolves when every Prometheus has seen all of it. */
async function startStack(t: Test): Promise<Stack | undefined> {
  const [alertmanagerBinary, postgres] = await Promise.all([
    toolOrSkip(t, () => alertmanager({ suite: ALERTMANAGER_SUITE })),
    toolOrSkip(t, () => startPostgres({ durable: false })),
  ])
  if (postgres) t.teardown(() => postgres.stop())
  if (!alertmanagerBinary || !postgres) return undefined
  const directory = mkdtempSync(join(tmpdir(), 'stack-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const { url, received } = await startReceiver(t)
  const backend = await createBackend(t, { directory, postgresUrl: postgres.url, port: await freePort() })
  const [alerts] = await Promise.all([startAlerts(t, directory, url, alertmanagerBinary), backend.start()])
  const before = await warmUp(backend)
  const servers = await startServers(t, directory, { backend: backend.port, alertmanager: new URL(alerts.url).port })
  // The value with which a counter first appears is in no rate.
  for (const server of servers) await until('the warm-up to be seen', () => hasSeen(server, [before]))
  const traffic = await drive(backend)
  for (const server of servers) {
    await until('each request and task to be seen once', () => hasSeen(server, [before, traffic]))
  }
  return { backend, servers, received, traffic }
}

async function testDashboards(t: Test, { backend, servers }: Stack): Promise<void> {
  // All servers at once: what a stat shows is of the last 40 seconds.
  const withoutNumbers = await Promise.all(servers.map(findWithoutNumbers))
  for (const [index, server] of servers.entries()) {
    t.test(`every panel of every dashboard shows numbers: ${server.version}`, async (t) => {
      for (const query of PANEL_QUERIES) {
        const { title, expression } = query
        const reason = quietBecause(expression)
        t.notOk(withoutNumbers[index]?.has(query), `${title}: ${expression}${reason ? ` (may be 0: ${reason})` : ''}`)
      }
    })
    t.test(`the variables of the dashboards have the backend among their values: ${server.version}`, async (t) => {
      const values: Record<string, string> = { job: 'backend', instance: `127.0.0.1:${backend.port}` }
      for (const variable of variables()) {
        t.ok((await choicesOf(server, variable)).includes(values[variable.label]!), variable.title)
      }
    })
  }
}

function testSpecification(t: Test, server: Server, traffic: Traffic): void {
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
}

function testHealth(t: Test, server: Server): void {
  t.test(`no rule fails, no target is down, jobs without a file have none: ${server.version}`, async (t) => {
    const { data } = (await (await fetch(`${server.url}/api/v1/rules`)).json()) as {
      data: { groups: Array<{ rules: Array<{ name: string; health: string; lastError?: string }> }> }
    }
    const unhealthy = data.groups.flatMap((group) => group.rules).filter(({ health }) => health !== 'ok')
    t.strictSame(
      unhealthy.map(({ name, lastError }) => `${name}: ${lastError}`),
      [],
    )
    // On a busy machine a scrape may take longer than a second.
    const targets = await until('no target to be down', async () => {
      const targets = await server.targets()
      return targets.every(({ health }) => health === 'up') && targets
    })
    t.strictSame(targets.map(({ labels }) => labels.job).sort(), ['alertmanager', 'backend', 'prometheus'])
  })
}

/** Starts an Alertmanager with the shipped configuration, whose messages go to the receiver. */
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

/** Starts a Prometheus of each version with the shipped configuration and rules. */
async function startServers(
  t: Test,
  directory: string,
  ports: { backend: number; alertmanager: string },
): Promise<Server[]> {
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
      writeFileSync(file, replace(readFileSync(file, 'utf8'), /for: [1-9]\d*[mh]/g, 'for: 2s'))
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

/** Returns whether a Prometheus has seen each request and each task of the traffic exactly once. */
async function hasSeen(server: PrometheusService, traffic: Traffic[]): Promise<boolean> {
  const [requests, tasks] = await Promise.all([
    server.query('sum(http_requests_total{endpoint!~"/health/.*"})'),
    server.query('sum(celery_tasks_total)'),
  ])
  return (
    requests[0]?.value === traffic.reduce((sum, { requests }) => sum + total(requests), 0) &&
    tasks[0]?.value === traffic.reduce((sum, { tasks }) => sum + total(tasks), 0)
  )
}

/** Returns the queries of panels that show no number, or only 0 where another value is expected. */
async function findWithoutNumbers(server: PrometheusService): Promise<Set<PanelQuery>> {
  // Stats first: their values are gone soon.
  const open = new Set([...PANEL_QUERIES].sort((a, b) => Number(b.isInstant) - Number(a.isInstant)))
  const isDone = async () => {
    for (const query of open) {
      const values = await valuesOf(server, query)
      if (values.some((value) => value !== 0 || quietBecause(query.expression))) open.delete(query)
    }
    return open.size === 0
  }
  await until('numbers', isDone, PANELS_MS).catch(() => {})
  return open
}

function quietBecause(expression: string): string | undefined {
  return Object.entries(QUIET).find(([name]) => expression.includes(name))?.[1]
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
