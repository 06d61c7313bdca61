import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promtool, runTool, toolOrSkip } from '@data20/dev-services'
import t from 'tap'
import { parse } from 'yaml'
import { casesOf, findSurvivors } from '../mutation/survival.ts'
import { list, MONITORING, ofSuite, read, rules, SUITES } from './helpers.ts'

const PROMETHEUS = join(MONITORING, 'prometheus')

/** Alert names from the specification. */
const SPECIFIED = ['HighHTTPErrorRate', 'SlowToolExecution', 'ServiceDown', 'Watchdog']

/** Number of mutants in one run of the tests; `pnpm mutate` tries all. */
const SAMPLE_SIZE = 6

const alerts = rules().filter(({ alert }) => alert !== undefined)

for (const suite of SUITES) {
  t.test(`promtool of ${suite.suite}: the configuration, the rules and their tests`, async (t) => {
    const tool = await ofSuite(t, suite, promtool)
    if (!tool) return
    const run = (...args: string[]) => runTool(tool, args, { cwd: PROMETHEUS })
    const files = ['rules', 'alerts'].flatMap((kind) =>
      list(`prometheus/${kind}`, '.yml').map((name) => `${kind}/${name}`),
    )

    const config = await run('check', 'config', 'prometheus.yml')
    t.equal(config.code, 0, config.stderr)
    t.match(config.stdout, `${files.length} rule files found`, 'a pattern that matches no file is no error')

    const check = await run('check', 'rules', '--lint=all', '--lint-fatal', ...files)
    t.equal(check.code, 0, check.stdout + check.stderr)

    const test = await run('test', 'rules', ...list('prometheus/tests', '.test.yml').map((name) => `tests/${name}`))
    t.equal(test.code, 0, test.stdout + test.stderr)
  })
}

t.test('every alert says how bad it is, what it means, where to look and what to do', async (t) => {
  for (const { alert, file, labels, annotations, expr, ...rule } of alerts) {
    const stem = file.replace(/^alerts\/|\.yml$/g, '')
    const prefix = stem === 'slo' ? /^(?:Http|Tool)/ : new RegExp(`^${stem[0]!.toUpperCase()}${stem.slice(1)}`)
    t.ok(prefix.test(alert!) || SPECIFIED.includes(alert!), `${alert} of ${file} begins with ${prefix}`)
    t.match(labels.severity, alert === 'Watchdog' ? /^none$/ : /^(critical|warning|info)$/, `severity of ${alert}`)
    t.type(rule.for, 'string', `for of ${alert}`)
    t.match(annotations.summary, /^[A-Z][^{]+[^.{]$/, `the summary of ${alert} is the same for all of a group`)
    t.type(annotations.description, 'string', `description of ${alert}`)
    t.equal(annotations.runbook_url, `http://localhost:9090/user/${alert}.md`)
    const runbook = read('runbooks', `${alert}.md`)
    t.match(runbook, new RegExp(`^# ${alert}\n\n.+\n\n## Look at\n\n\`\`\`promql\n[^]+\`\`\`\n\n## Do\n\n- `))
    const [, uid] = /^http:\/\/localhost:3000\/d\/(\w+)/.exec(annotations.dashboard_url ?? '') ?? []
    t.ok(existsSync(join(MONITORING, `grafana/dashboards/${uid}.json`)), `${alert} links to the dashboard ${uid}`)
    t.equal(JSON.parse(read('grafana/dashboards', `${uid}.json`)).uid, uid)
  }
  t.strictSame(list('runbooks', '.md').sort(), [...new Set(alerts.map(({ alert }) => `${alert}.md`))].sort())
})

t.test('every alert has a test in which it fires and one in which it does not', async (t) => {
  type AlertTest = { alertname: string; exp_alerts: unknown[] }
  const tests = list('prometheus/tests', '.test.yml')
    .flatMap(
      (name) => (parse(read('prometheus/tests', name)) as { tests: Array<{ alert_rule_test?: AlertTest[] }> }).tests,
    )
    .flatMap(({ alert_rule_test = [] }) => alert_rule_test)
  for (const name of new Set(alerts.map(({ alert }) => alert!))) {
    const own = tests.filter(({ alertname }) => alertname === name)
    t.ok(
      own.some(({ exp_alerts }) => exp_alerts.length > 0),
      `${name} fires`,
    )
    if (name !== 'Watchdog')
      t.ok(
        own.some(({ exp_alerts }) => exp_alerts.length === 0),
        `${name} is quiet`,
      )
  }
})

t.test('what a rule takes from another rule is recorded', async (t) => {
  const records = rules().map(({ record }) => record)
  for (const { alert, record, expr } of rules()) {
    for (const [name] of expr.matchAll(/\b[a-z]\w*:[\w:]+/g))
      t.ok(records.includes(name), `${alert ?? record}: ${name}`)
  }
})

t.test('the rule tests notice mistakes in the rules', async (t) => {
  const tool = await toolOrSkip(t, promtool)
  if (!tool) return
  const reasons: Record<string, string> = JSON.parse(read('mutation/survivors.json'))
  const cases = casesOf(PROMETHEUS)
  const step = Math.ceil(cases.length / SAMPLE_SIZE)
  const offset = Number(process.env.SEED ?? 0) % step
  const sample = cases.filter((_, index) => index % step === offset)

  const survivors = await findSurvivors(sample, { folder: PROMETHEUS, promtool: tool })

  t.strictSame(
    survivors.map(({ id }) => id).filter((id) => !(id in reasons)),
    [],
    `${sample.length} of ${cases.length} mutants, those of SEED=${offset}`,
  )
  const ids = new Set(cases.map(({ id }) => id))
  t.equal(ids.size, cases.length, 'each mutant has an id of its own')
  t.strictSame(
    Object.keys(reasons).filter((id) => !ids.has(id)),
    [],
    'the survivors are mutants',
  )
  t.ok(Object.keys(reasons).length <= cases.length * 0.05, 'at most 5 % survive')
})
