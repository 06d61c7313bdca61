import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prometheus, promtool, runTool, startPrometheus, type Tool, toolOrSkip, until } from '@data20/dev-services'
import t, { type Test } from 'tap'
import { parse, stringify } from 'yaml'
import { catalogue } from '../catalogue/metrics.ts'
import { MONITORING, ofSuite, read, replace, SUITES, startReceiver } from './helpers.ts'

const AGENT = join(MONITORING, 'integrations/prometheus-agent/prometheus-agent.yml')

t.test('prometheus agent: the file is valid on each Prometheus', async (t) => {
  for (const suite of SUITES) {
    const tool = await ofSuite(t, suite, promtool)
    if (!tool) continue
    const { code, stdout, stderr } = await runTool(tool, ['check', 'config', '--agent', '--syntax-only', AGENT])
    t.equal(code, 0, `${suite.suite}: ${stdout}${stderr}`)
  }
})

t.test('prometheus agent: pushes with credentials to Grafana Cloud and New Relic', async (t) => {
  const tool = await toolOrSkip(t, prometheus)
  if (!tool) return
  const app = createServer((_request, response) => {
    const text = '# HELP little_total A counter.\n# TYPE little_total counter\nlittle_total 3\n'
    response.setHeader('content-type', 'text/plain; version=0.0.4').end(text)
  })
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
  t.teardown(() => app.close().closeAllConnections())
  const basic = `Basic ${Buffer.from('000000:cloud-token').toString('base64')}`
  const expected: Record<string, string> = {
    '/api/prom/push': basic,
    '/prometheus/v1/write?prometheus_server=data20': 'Bearer license',
  }
  const refused: string[] = []
  const { url, received } = await startReceiver(t, ({ path, headers }) => {
    if (headers.authorization === expected[path]) return 204
    refused.push(`${path} ${headers.authorization}`)
    return 401
  })
  const start = async (token: string) => {
    const directory = temporary(t)
    writeFileSync(join(directory, 'grafana_cloud_token'), token)
    writeFileSync(join(directory, 'new_relic_license_key'), 'license')
    let config = replace(read('integrations/prometheus-agent/prometheus-agent.yml'), '/run/secrets', directory)
    config = replace(config, /https:\/\/[\w.-]+\.(?:net|com)(?=\/)/g, url)
    config = replace(config, 'backend:8001', `127.0.0.1:${(app.address() as AddressInfo).port}`)
    config = replace(config, 'scrape_interval: 60s', 'scrape_interval: 1s\n  scrape_timeout: 1s')
    const args = [...(await agentFlags(tool)), `--storage.agent.path=${directory}/wal`]
    const agent = await startPrometheus({ config, directory, args })
    // On a graceful stop it would retry the refused samples for a minute.
    t.teardown(() => agent.kill())
  }

  // The second one proves that the receiver refuses wrong credentials.
  await Promise.all([start('cloud-token'), start('wrong')])
  await until('both to have been pushed to, and a push to be refused', () =>
    Object.keys(expected).every((path) => received.some((one) => one.path === path) && refused.length > 0),
  )

  for (const { headers, path } of received) {
    t.match(
      headers,
      {
        'content-encoding': 'snappy',
        'content-type': 'application/x-protobuf',
        'x-prometheus-remote-write-version': '0.1.0',
      },
      path,
    )
  }
  // Snappy leaves the first occurrence of a string uncompressed.
  t.ok(
    received.some(({ body }) => body.includes('little_total')),
    'the series of the target',
  )
  t.ok(
    received.some(({ body }) => body.includes('data20')),
    'with the external label',
  )
  const wrong = `/api/prom/push Basic ${Buffer.from('000000:wrong').toString('base64')}`
  t.strictSame([...new Set(refused)], [wrong], 'the shipped credentials are never refused')
})

t.test('grafana alloy: the file says the same as that of the agent', async (t) => {
  const text = read('integrations/grafana-alloy/config.alloy')
  t.strictSame(lintAlloy(text), [])
  t.ok(lintAlloy(text.replace('{\n    "cluster"', '\n    "cluster"')).length > 0, 'the lint notices a missing bracket')
  t.ok(lintAlloy(text.replace('grafana_cloud.receiver', 'elsewhere.receiver')).length > 0, 'and a missing component')
  const agent = parse(read('integrations/prometheus-agent/prometheus-agent.yml'))
  const [target] = agent.scrape_configs[0].static_configs[0].targets
  t.match(text, `"__address__" = "${target}"`)
  t.match(text, `"job" = "${agent.scrape_configs[0].job_name}"`)
  t.match(text, `"cluster" = "${agent.global.external_labels.cluster}"`)
  t.match(text, `scrape_interval = "${agent.global.scrape_interval}"`)
  t.match(text, `password_file = "${agent.remote_write[0].basic_auth.password_file}"`)
})

t.test('datadog: keys that the check knows, and metrics that there are', async (t) => {
  const { instances, ...rest } = parse(read('integrations/datadog-openmetrics/conf.yaml'))
  t.strictSame(rest, { init_config: {} })
  t.equal(instances.length, 1)
  const { metrics, ...instance } = instances[0]
  t.strictSame(Object.keys(instance).sort(), [
    'collect_counters_with_distributions',
    'histogram_buckets_as_distributions',
    'namespace',
    'openmetrics_endpoint',
  ])
  const exposed = catalogue.map(({ name, type }) => (type === 'counter' ? name.replace(/_total$/, '') : name))
  for (const name of metrics) t.ok(exposed.includes(name), name)
  t.equal(new Set(metrics).size, metrics.length)
})

t.test(
  'opentelemetry collector: the part of Prometheus is valid, and every component is defined and used',
  async (t) => {
    const { service, ...config } = parse(read('integrations/otel-collector/config.yaml'))
    for (const kind of ['receivers', 'processors', 'exporters']) {
      const used = Object.values(service.pipelines as Record<string, Record<string, string[]>>).flatMap(
        (one) => one[kind] ?? [],
      )
      t.strictSame(Object.keys(config[kind]).sort(), [...new Set(used)].sort(), kind)
    }
    const tool = await toolOrSkip(t, promtool)
    if (!tool) return
    const file = join(temporary(t), 'prometheus.yml')
    writeFileSync(file, stringify(config.receivers.prometheus.config).replaceAll('$$', '$'))
    const { code, stdout, stderr } = await runTool(tool, ['check', 'config', file])
    t.equal(code, 0, stdout + stderr)
  },
)

/** Checks an Alloy file as far as that is possible without Alloy. */
function lintAlloy(text: string): string[] {
  const findings: string[] = []
  const code = text.replace(/^\s*\/\/.*$/gm, '')
  const bare = code.replace(/"(?:[^"\\\n]|\\.)*"/g, '')
  if (bare.includes('"')) findings.push('a string is not closed')
  const open: string[] = []
  for (const bracket of bare.replace(/[^[\](){}]/g, '')) {
    if ('([{'.includes(bracket)) open.push(bracket)
    else if (!['()', '[]', '{}'].includes(`${open.pop()}${bracket}`)) findings.push(`${bracket} closes nothing`)
  }
  if (open.length > 0) findings.push(`${open.at(-1)} is not closed`)
  const components = [...code.matchAll(/^([\w.]+) "(\w+)" \{$/gm)].map(([, name, label]) => `${name}.${label}`)
  for (const [, name] of code.matchAll(/([\w.]+)\.receiver\b/g)) {
    if (!components.includes(name!)) findings.push(`${name} is not defined`)
  }
  for (const line of bare.split('\n').filter((line) => (line.match(/ = /g) ?? []).length > 1)) {
    if (!/[[{]/.test(line)) findings.push(`more than one attribute: ${line}`)
  }
  return findings
}

/** Returns the flags that make a Prometheus an agent. */
async function agentFlags(tool: Tool): Promise<string[]> {
  const { stdout, stderr } = await runTool(tool, ['--version'])
  return /version 2\./.test(stdout + stderr) ? ['--enable-feature=agent'] : ['--agent']
}

function temporary(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'integrations-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}
