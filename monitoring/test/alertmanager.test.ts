import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { amtool, alertmanager as binaryOf, runTool, startAlertmanager, toolOrSkip, until } from '@data20/dev-services'
import t from 'tap'
import { MONITORING, read, replace, slackMessages, startReceiver, ALERTMANAGER_SUITE as suite } from './helpers.ts'

const CONFIG = join(MONITORING, 'alertmanager/alertmanager.yml')

t.test('amtool: the configuration, and who gets what', async (t) => {
  const tool = await toolOrSkip(t, () => amtool({ suite }))
  if (!tool) return
  const check = await runTool(tool, ['check-config', CONFIG])
  t.equal(check.code, 0, check.stdout + check.stderr)
  t.match(check.stdout, '1 templates')

  const routes: Array<[receiver: string, ...labels: string[]]> = [
    ['page', 'alertname=ServiceDown', 'severity=critical', 'job=backend'],
    ['chat', 'alertname=HighHTTPErrorRate', 'severity=warning', 'job=backend'],
    ['nobody', 'alertname=CacheHitRateLow', 'severity=info', 'job=backend'],
    ['dead-man', 'alertname=Watchdog', 'severity=none'],
    // Somebody else's alert, without a severity that we know.
    ['chat', 'alertname=Foreign'],
  ]
  for (const [receiver, ...labels] of routes) {
    const args = ['config', 'routes', 'test', `--config.file=${CONFIG}`, `--verify.receivers=${receiver}`, ...labels]
    const { code, stdout, stderr } = await runTool(tool, args)
    t.equal(code, 0, `${labels.join(' ')} goes to ${receiver}: ${stdout}${stderr}`)
  }
})

t.test('a message lists every alert of its group, a cause mutes its effects, and the end is told', async (t) => {
  const binary = await toolOrSkip(t, () => binaryOf({ suite }))
  if (!binary) return
  const { url, received } = await startReceiver(t)
  const directory = mkdtempSync(join(tmpdir(), 'alertmanager-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  for (const name of ['slack', 'dead_man']) writeFileSync(join(directory, `${name}_url`), `${url}/${name}`)
  let config = replace(read('alertmanager/alertmanager.yml'), '/run/secrets', directory)
  config = replace(config, 'templates/*', join(MONITORING, 'alertmanager/templates/*'))
  config = replace(config, /group_wait: \d+s/g, 'group_wait: 500ms')
  config = replace(config, /group_interval: \d+m/g, 'group_interval: 1s')
  const server = await startAlertmanager({ config, directory, binary })
  t.teardown(() => server.stop())

  const alert = (alertname: string, severity: string, labels: Record<string, string>, endsAt?: string) => ({
    labels: { alertname, severity, job: 'backend', ...labels },
    annotations: {
      summary: `Summary of ${alertname}`,
      description: `${alertname} on ${Object.values(labels).join(' ')}`,
      runbook_url: `http://localhost:9090/user/${alertname}.md`,
    },
    ...(endsAt && { endsAt }),
  })
  const send = async (...alerts: object[]) => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${server.url}/api/v2/alerts`, {
      method: 'POST',
      headers,
      body: JSON.stringify(alerts),
    })
    t.equal(response.status, 200, await response.text())
  }

  await send(
    alert('DbDown', 'critical', { instance: 'a', pool: 'default', job: 'shop' }),
    alert('SystemHighDisk', 'critical', { host: 'a' }),
    alert('ServiceDown', 'critical', { job: 'gone' }),
  )
  await send(
    alert('HighHTTPErrorRate', 'warning', { endpoint: '/api/run' }),
    alert('HighHTTPErrorRate', 'warning', { endpoint: '/api/tools' }),
    alert('HighHTTPErrorRate', 'warning', { endpoint: '/orders', job: 'shop' }),
    alert('QueueStalledTasks', 'warning', { queue: 'mail', job: 'shop' }),
    alert('DbPoolSaturated', 'warning', { instance: 'a', pool: 'default', job: 'shop' }),
    alert('DbPoolSaturated', 'warning', { instance: 'a', pool: 'reports', job: 'shop' }),
    alert('SystemHighDisk', 'warning', { host: 'a' }),
    alert('SystemHighDisk', 'warning', { host: 'b' }),
    alert('SystemHighMemory', 'warning', { host: 'gone', job: 'gone' }),
    alert('CacheHitRateLow', 'info', { cache_type: 'tool_results' }),
  )
  const titles = () => slackMessages(received).map(({ channel, title }) => `${channel} ${title}`)
  await until('six messages', () => slackMessages(received).length >= 6)
  t.strictSame(titles().sort(), [
    '#alerts [FIRING:1] DbPoolSaturated (warning)',
    '#alerts [FIRING:1] SystemHighDisk (warning)',
    '#alerts [FIRING:2] HighHTTPErrorRate (warning)',
    '#pages [FIRING:1] DbDown (critical)',
    '#pages [FIRING:1] ServiceDown (critical)',
    '#pages [FIRING:1] SystemHighDisk (critical)',
  ])
  const textOf = (name: string) => slackMessages(received).findLast(({ title }) => title.includes(name))!.text
  t.equal(
    textOf('HighHTTPErrorRate'),
    `*Summary of HighHTTPErrorRate*
• HighHTTPErrorRate on /api/run <http://localhost:9090/user/HighHTTPErrorRate.md|runbook>
• HighHTTPErrorRate on /api/tools <http://localhost:9090/user/HighHTTPErrorRate.md|runbook>
`,
  )
  t.match(textOf('DbPoolSaturated'), 'DbPoolSaturated on a reports')
  t.match(textOf('DbDown'), /^<!channel> /)

  await send(alert('HighHTTPErrorRate', 'warning', { endpoint: '/api/run' }, new Date().toISOString()))
  await until('a message of one end', () => titles().includes('#alerts [FIRING:1] HighHTTPErrorRate (warning)'))
  t.match(textOf('HighHTTPErrorRate'), /on \/api\/tools .*\nResolved:\n• HighHTTPErrorRate on \/api\/run /)
  await send(alert('HighHTTPErrorRate', 'warning', { endpoint: '/api/tools' }, new Date().toISOString()))
  await until('a message of the end', () => titles().includes('#alerts [RESOLVED] HighHTTPErrorRate (warning)'))
})
