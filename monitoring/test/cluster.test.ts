import { statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  promtool,
  readValue,
  runTool,
  startPostgres,
  startProcess,
  temporaryFolder,
  toolOrSkip,
  until,
} from '@data20/dev-services'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { parseExposition } from './exposition.ts'
import { list, MONITORING } from './helpers.ts'

const FIXTURE = fileURLToPath(new URL('fixtures/cluster.mjs', import.meta.url))
/** These depend on the machine of the test. */
const MACHINE = /^System(High|Disk)/

/** Starts a cluster of three workers, and returns the URL of its metrics. */
async function startCluster(t: Test, database: string, roles: string[]): Promise<string> {
  const { output, child } = startProcess(t, FIXTURE, { args: [database, ...roles], cwd: MONITORING })
  return until('the cluster to start', () => {
    if (child.exitCode !== null) throw new Error(output.stderr)
    return /http\S+/.exec(output.stdout)?.[0]
  })
}

async function scrape(url: string): Promise<string> {
  return (await fetch(`${url}/metrics`)).text()
}

/** Returns the names of the shipped alerts that fire when these values stay for half an hour. */
async function firing(t: Test, tool: Awaited<ReturnType<typeof promtool>>, text: string): Promise<string[]> {
  const rule_files = ['rules', 'alerts'].flatMap((kind) =>
    list(`prometheus/${kind}`, '.yml').map((name) => join(MONITORING, 'prometheus', kind, name)),
  )
  const input_series = parseExposition(text).map(({ name, labels, value }) => ({
    series: `${name}${JSON.stringify({ ...labels, job: 'backend', instance: 'a' }).replace(/"(\w+)":/g, '$1=')}`,
    values: `${Number(value)}x60`,
  }))
  input_series.push({ series: 'up{job="backend",instance="a"}', values: '1x60' })
  const promql_expr_test = [
    { expr: 'count by (alertname) (ALERTS{alertstate="firing"})', eval_time: '30m', exp_samples: [] },
  ]
  const file = join(temporaryFolder(t, 'cluster'), 'cluster.test.yml')
  writeFileSync(
    file,
    stringify({ rule_files, evaluation_interval: '30s', tests: [{ interval: '30s', input_series, promql_expr_test }] }),
  )
  // Watchdog always fires, so the test always fails, and says what it got.
  const { stdout, stderr } = await runTool(tool, ['test', 'rules', file])
  const got = /got:\[?(.*)/.exec(stdout + stderr)?.[1]
  if (got === undefined) throw new Error(stdout + stderr)
  return Array.from(got.matchAll(/alertname="(\w+)"/g), ([, name]) => name!).filter((name) => !MACHINE.test(name))
}

t.test('the alerts see one worker in trouble among three, and none where all are well', async (t) => {
  const tool = await toolOrSkip(t, promtool)
  if (!tool) return
  const postgres = await toolOrSkip(t, () => startPostgres({ durable: false }))
  if (!postgres) return
  t.teardown(() => postgres.stop())
  const [well, ill] = await Promise.all([
    startCluster(t, postgres.url, ['healthy', 'healthy', 'healthy']),
    startCluster(t, postgres.url, ['no-database', 'blocked', 'full']),
  ])

  const healthy = await until('the second sample of the workers', async () => {
    const text = await scrape(well)
    return readValue(text, 'system_cpu_percent') !== undefined && text
  })
  const troubled = await until('the event loop to be seen blocked', async () => {
    const text = await scrape(ill)
    // On a slow machine the worker that is blocked may miss a scrape.
    const hasAll = !/^metrics_collector_success\{.*\} 0$/m.test(text)
    return hasAll && readValue(text, 'nodejs_eventloop_lag_p99_seconds')! > 0.3 && text
  })

  t.strictSame(await firing(t, tool, troubled), [
    'DbDown',
    'SystemEventLoopLag',
    'SystemHeapNearLimit',
    'SystemOpenFilesNearLimit',
    'Watchdog',
  ])
  // A slow machine delays the event loops of the healthy ones as well.
  t.strictSame(
    (await firing(t, tool, healthy)).filter((name) => name !== 'SystemEventLoopLag'),
    ['Watchdog'],
  )

  t.comment('one machine is not three, and three workers are')
  const { bsize, blocks } = statfsSync(MONITORING)
  const tool_name = '{tool_name="build_graph"}'
  t.equal(readValue(healthy, 'system_disk_total_bytes'), bsize * blocks)
  t.ok(readValue(healthy, 'system_cpu_percent')! <= 100)
  t.equal(readValue(healthy, `tool_executions_active${tool_name}`), 3)
  t.ok(readValue(healthy, `tool_last_success_timestamp_seconds${tool_name}`)! <= Date.now() / 1000)
  t.equal(readValue(healthy, 'db_up{pool="main"}'), 1)
  t.equal(readValue(troubled, 'db_up{pool="main"}'), 0)
  t.ok(readValue(troubled, 'nodejs_heap_size_used_bytes')! / readValue(troubled, 'nodejs_heap_size_limit_bytes')! < 0.5)
})
