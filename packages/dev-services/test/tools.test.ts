import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  amtool,
  debianTool,
  openmetricsParser,
  promtool,
  runTool,
  ToolUnavailableError,
  temporaryFolder,
  toolOrSkip,
} from '../src/index.ts'
import { ALERTMANAGER_CONFIG, EXPOSITION, setEnvironment } from './helpers.ts'

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
