import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promtool, runTool, startPrometheus, toolOrSkip } from '@data20/dev-services'
import t from 'tap'
import { renderDocument } from '../catalogue/document.ts'
import { lint, type Purpose, RULES } from '../catalogue/lint.ts'
import { catalogue, type Metric } from '../catalogue/metrics.ts'
import { createLookup, formatBound } from '../catalogue/names.ts'
import { root } from '../catalogue/root.ts'
import { parseRules, readRules } from '../catalogue/rules.ts'
import { findSources, formatFinding, lintSources, sourcesOfMarkdown, substitute } from '../catalogue/sources.ts'
import { dashboards, renderDashboards } from '../grafana/src/dashboards.ts'
import { exposeAll } from './exposition.ts'

/** A line of an exposition. */
interface Line {
  name: string
  labels: Record<string, string>
  value: string
}

const rules = readRules(root)
const lookup = createLookup(rules)
const exposition = await toolOrSkip(t, () => exposeAll(t))
const lines = parseExposition(exposition ?? '')

t.test('the catalogue is what an application with all plugins exposes', async (t) => {
  if (exposition === undefined) return
  const sort = (list: string[]) => list.sort()
  const isThere = ({ name }: Metric) => exposition.includes(`# TYPE ${name} `)
  t.same(
    sort([...exposition.matchAll(/^# HELP (.*)$/gm)].map(([, help]) => help!)),
    sort(catalogue.filter(isThere).map(({ name, help }) => `${name} ${help}`)),
    'every metric is in the catalogue, with its help',
  )
  t.same(
    sort([...exposition.matchAll(/^# TYPE (.*)$/gm)].map(([, type]) => type!)),
    sort(catalogue.filter(isThere).map(({ name, type }) => `${name} ${type}`)),
    'with its type',
  )
  t.same(
    catalogue.filter((metric) => !isThere(metric) && metric.condition === undefined).map(({ name }) => name),
    [],
    'and what the catalogue has is exposed',
  )
  for (const metric of catalogue) {
    const samples = samplesOf(metric)
    if (samples.length === 0) {
      t.ok(metric.condition, `${metric.name} has a series, or a condition`)
      continue
    }
    t.same(labelsOf(samples), metric.labels, `${metric.name} has the labels of the catalogue`)
    t.same(boundsOf(samples), metric.buckets?.map(formatBound) ?? [], `${metric.name} has its buckets`)
    for (const [label, values] of Object.entries(metric.values)) {
      const seen = new Set(samples.map(({ labels }) => labels[label]!))
      // These come with requests; all others exist from the start, so that none can be missing here.
      const isOfRequest = label === 'method' || (metric.name.startsWith('http_') && label === 'status')
      const expected = isOfRequest ? values.filter((value) => seen.has(value)) : values
      t.same([...seen].sort(), [...expected].sort(), `${metric.name} has the values of ${label}`)
    }
  }
})

t.test('docs/metrics.md is up to date', async (t) => {
  const text = readFileSync(new URL('docs/metrics.md', root), 'utf8')
  t.equal(text, renderDocument(rules), 'else: pnpm --filter @data20/monitoring catalogue')
})

t.test('every PromQL expression of the repository passes the lint', async (t) => {
  const sources = findSources(root)
  t.same(lintSources(sources, lookup).map(formatFinding), [])
  for (const part of ['prometheus/rules/', 'prometheus/alerts/', 'grafana/dashboards/', 'runbooks/', 'packages/']) {
    t.ok(
      sources.some(({ file }) => file.includes(part)),
      `expressions were found in ${part}`,
    )
  }
})

/** Expressions that break a rule of the lint, and no other. */
const WRONG: Array<{ rule: keyof typeof RULES; expression: string; purpose?: Purpose }> = [
  { rule: 'syntax', expression: 'sum by (endpoint rate(http_requests_total[5m]))' },
  { rule: 'syntax', expression: 'rate(http_requests_total[5m]) /' },
  { rule: 'syntax', expression: 'system_cpu_percent\nsystem_memory_percent' },
  { rule: 'metric', expression: 'rate(http_request_total[5m])' },
  { rule: 'metric', expression: 'http_request_duration_seconds' },
  { rule: 'metric', expression: '{__name__="db_connection_max"}' },
  { rule: 'label', expression: 'rate(http_requests_total{route="/api/run"}[5m])' },
  { rule: 'label', expression: 'rate(http_request_duration_seconds_count{le="1.0"}[5m])' },
  { rule: 'label', expression: 'job_endpoint:http_requests:rate5m{instance="backend:8001"}' },
  { rule: 'label', expression: 'label_replace(queue_length, "task", "$1", "task_name", "(.*)")' },
  { rule: 'value', expression: 'rate(queue_tasks_total{status="failure"}[5m])' },
  { rule: 'value', expression: 'rate(celery_tasks_total{status="failed"}[5m])' },
  { rule: 'value', expression: 'rate(tool_executions_total{status=~"failed|timed_out"}[5m])' },
  { rule: 'value', expression: 'rate(tool_executions_total{status!="success"}[5m])' },
  { rule: 'value', expression: 'rate(http_request_duration_seconds_bucket{le="3.0"}[5m])' },
  { rule: 'value', expression: 'rate(http_request_duration_seconds_bucket{le="1"}[5m])' },
  { rule: 'value', expression: 'rate(http_requests_total{status=~"(5.."}[5m])' },
  { rule: 'grouping', expression: 'sum by (route) (rate(http_requests_total[5m]))' },
  { rule: 'grouping', expression: 'sum without (code) (rate(http_requests_total[5m]))' },
  { rule: 'grouping', expression: 'system_cpu_percent * on (pod) group_left app_info' },
  { rule: 'grouping', expression: 'system_cpu_percent * on (instance) group_left (release) app_info' },
  { rule: 'matching', expression: 'sum by (job) (db_up) / db_connections_max' },
  { rule: 'matching', expression: 'db_up unless queue_up' },
  { rule: 'rate', expression: 'rate(db_connections_active[5m])' },
  { rule: 'rate', expression: 'increase(job_pool:db_slow_queries:rate5m[1h])' },
  { rule: 'rate', expression: 'rate(sum(http_requests_total)[5m:1m])' },
  { rule: 'counter', expression: 'http_requests_total' },
  { rule: 'counter', expression: 'sum by (endpoint) (http_requests_total)' },
  { rule: 'counter', expression: 'http_requests_total > 0' },
  { rule: 'counter', expression: 'scalar(http_requests_total)' },
  { rule: 'counter', expression: 'deriv(http_requests_total[5m])' },
  {
    rule: 'counter',
    expression: 'sum by (queue) (rate(celery_tasks_total[5m])) / sum by (queue) (celery_tasks_total)',
  },
  { rule: 'counter', expression: 'histogram_quantile(0.9, http_request_duration_seconds_bucket)' },
  { rule: 'counter', expression: 'queue_tasks_total', purpose: { record: 'job:queue_tasks:all' } },
  { rule: 'aggregation', expression: 'sum by (queue) (queue_length)' },
  {
    rule: 'quantile',
    expression: 'histogram_quantile(0.9, sum by (endpoint) (rate(http_request_duration_seconds_bucket[5m])))',
  },
  { rule: 'threshold', expression: 'histogram_quantile(0.9, rate(http_request_duration_seconds_bucket[5m])) > 300' },
  { rule: 'threshold', expression: 'histogram_quantile(0.9, rate(http_request_duration_seconds_bucket[5m])) > 10' },
  { rule: 'threshold', expression: 'histogram_quantile(0.9, rate(http_request_duration_seconds_bucket[5m])) > 3' },
  { rule: 'threshold', expression: 'job_endpoint:http_request_duration_seconds:p95_rate5m > 2 * 3' },
  {
    rule: 'threshold',
    expression: '20m < max by (queue) (histogram_quantile(0.9, rate(celery_task_duration_seconds_bucket[5m])))',
  },
  { rule: 'comparison', expression: 'system_cpu_percent', purpose: alert('{{ $labels.instance }}') },
  { rule: 'annotation', expression: 'sum by (job) (up) == 0', purpose: alert('{{ $labels.instance }} is down') },
  { rule: 'annotation', expression: 'absent(up{job="backend"})', purpose: alert('{{ $labels.instance }} is down') },
  { rule: 'annotation', expression: 'db_up == 0 or on() vector(1) > 0', purpose: alert('{{ $labels.pool }} is down') },
]

for (const { rule, expression, purpose } of WRONG) {
  t.test(`the lint finds (${rule}): ${expression}`, async (t) => {
    const problems = lint(expression, lookup, purpose)
    t.same(
      problems.map((problem) => problem.rule),
      [rule],
    )
  })
}

t.test('each rule of the lint has an expression that breaks it', async (t) => {
  t.same([...new Set(WRONG.map(({ rule }) => rule))].sort(), Object.keys(RULES).sort())
})

/** Expressions that look wrong and are right. */
const RIGHT: Array<{ expression: string; purpose?: Purpose }> = [
  { expression: 'sum(rate(http_requests_total{status=~"5.."}[5m])) by (endpoint) # a comment' },
  { expression: 'rate(tool_executions_total{tool_name="__overflow__",status="__overflow__"}[5m])' },
  { expression: 'http_requests_total - http_requests_total offset 1d' },
  { expression: 'count(http_requests_total)' },
  { expression: 'absent(http_requests_total{endpoint="/api/run"})' },
  { expression: 'rate(db_queries_total[5m]) or db_queries_total * 0' },
  { expression: 'queue_tasks_total', purpose: { record: 'celery_tasks_total' } },
  { expression: 'app_info' },
  { expression: 'max by (queue) (queue_length)' },
  { expression: 'sum by (queue) (celery_queue_length)' },
  { expression: 'sum by (task_name) (rate(celery_tasks_total{status="failure"}[10m]))' },
  { expression: 'histogram_quantile(0.9, rate(tool_execution_duration_seconds_bucket[5m])) > 300' },
  { expression: 'histogram_quantile(0.9, rate(tool_execution_duration_seconds_bucket[5m])) > 5m' },
  { expression: 'system_cpu_percent * on (instance) group_left (version) app_info' },
  { expression: 'db_up == 0 and on (instance) system_cpu_percent > 90' },
  { expression: 'rate(prometheus_notifications_errors_total{alertmanager="a"}[5m])' },
  { expression: 'topk(10, count by (__name__) ({job="backend"}))' },
  { expression: 'vector(1)', purpose: alert('always') },
  { expression: 'absent(up{job="backend"})', purpose: alert('{{ $labels.job }} is gone') },
  { expression: 'sum by (job) (up) == 0', purpose: alert('{{ $labels.job }} {{ $labels.severity }}') },
]

for (const { expression, purpose } of RIGHT) {
  t.test(`the lint accepts: ${expression}`, async (t) => {
    t.same(lint(expression, lookup, purpose), [])
  })
}

t.test('a finding says file, line, expression and why', async (t) => {
  const text = `groups:
  - name: example
    rules:
      - alert: Example
        expr: >-
          rate(http_requests_total[5m])
          /
          rate(http_request_total[5m]) > 1
`
  const [rule] = parseRules('example.yml', text)
  const markdown = 'Text\n```promql\n# First\nup\nsum by (job) (\n  nothing\n)\n```\n```sh\nup up\n```\n'
  const sources = [{ ...rule!, purpose: {} }, ...sourcesOfMarkdown('example.md', markdown)]
  t.same(lintSources(sources, lookup).map(formatFinding), [
    'example.yml:8: there is no metric http_request_total (metric)\n    rate(http_requests_total[5m]) / rate(http_request_total[5m]) > 1',
    'example.md:6: there is no metric nothing (metric)\n    sum by (job) ( nothing )',
  ])
  t.same(
    sourcesOfMarkdown('example.md', markdown).map(({ line, expression }) => [line, expression]),
    [
      [4, 'up'],
      [5, 'sum by (job) (\n  nothing\n)'],
    ],
  )
})

t.test('the dashboards are up to date', async (t) => {
  const folder = new URL('monitoring/grafana/dashboards/', root)
  const files = renderDashboards(rules)
  t.same(readdirSync(folder).sort(), [...files.keys()].sort())
  for (const [name, text] of files) {
    t.equal(
      readFileSync(new URL(name, folder), 'utf8'),
      text,
      `${name}, else: pnpm --filter @data20/monitoring dashboards`,
    )
  }
})

/** What is used of Grafana's model. */
interface GrafanaPanel {
  id: number
  type: string
  title: string
  description?: string
  datasource?: { uid: string }
  gridPos: { x: number; y: number; w: number; h: number }
  fieldConfig?: { defaults: { unit?: string; thresholds?: { steps: Array<{ value: number | null }> } } }
  targets?: Array<{
    refId: string
    expr: string
    legendFormat: string
    instant?: boolean
    datasource?: { uid: string }
  }>
  links?: Array<{ url: string }>
}

interface GrafanaDashboard {
  uid: string
  title: string
  schemaVersion: number
  editable: boolean
  panels: GrafanaPanel[]
  templating: { list: Array<Record<string, unknown> & { name: string }> }
  links: Array<{ type: string; tags: string[] }>
  tags: string[]
}

const models = [...renderDashboards(rules).values()].map((text) => JSON.parse(text) as GrafanaDashboard)

for (const model of models) {
  t.test(`dashboard ${model.uid} is what Grafana takes, and people can read`, async (t) => {
    const panels = model.panels.filter(({ type }) => type !== 'row')
    t.equal(new Set(model.panels.map(({ id }) => id)).size, model.panels.length, 'ids are unique')
    t.equal(new Set(panels.map(({ title }) => title)).size, panels.length, 'titles are unique')
    t.ok(model.schemaVersion >= 36 && !model.editable && model.title, 'it has a title and cannot be edited')
    t.ok(
      model.links.some(({ type, tags }) => type === 'dashboards' && tags.every((tag) => model.tags.includes(tag))),
      'it links to the other dashboards',
    )

    const variables = new Map(model.templating.list.map((variable) => [variable.name, variable]))
    t.same([...variables.keys()], ['datasource', 'job', 'instance'])
    for (const name of ['job', 'instance']) {
      const { multi, includeAll, allValue, refresh, datasource } = variables.get(name)!
      t.same(
        [multi, includeAll, allValue, refresh],
        [true, true, '.+', 2],
        `${name} can be all, and is read with the time`,
      )
      t.same(datasource, { type: 'prometheus', uid: `\${datasource}` })
    }

    for (const [index, panel] of model.panels.entries()) {
      const { x, y, w, h } = panel.gridPos
      t.ok([x, y, w, h].every(Number.isInteger) && x + w <= 24 && w > 0 && h > 0, `${panel.title} is on the grid`)
      for (const { title, gridPos: other } of model.panels.slice(index + 1)) {
        const isApart = x + w <= other.x || other.x + other.w <= x || y + h <= other.y || other.y + other.h <= y
        t.ok(isApart, `${panel.title} and ${title} do not overlap`)
      }
    }

    for (const panel of panels) {
      const { title, type, description, targets = [], links = [], fieldConfig } = panel
      t.match(description, /^[A-Z0-9`].*\.$/s, `${title} has a description`)
      t.ok(fieldConfig?.defaults.unit, `${title} has a unit`)
      t.equal(panel.datasource?.uid, `\${datasource}`, `${title} asks the chosen data source`)
      t.ok(targets.length > 0, `${title} asks something`)
      t.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, `${title} has unique refIds`)
      for (const { expr, datasource, instant } of targets) {
        t.equal(datasource?.uid, `\${datasource}`)
        if (/\b(topk|bottomk)\b/.test(expr))
          t.ok(type === 'table' && instant, `${title}: the best of now, not of each step`)
        // Of ALERTS the alerts decide which labels there are; recording rules have no instance.
        for (const [selector] of expr.matchAll(/\{[^}]*\}/g)) {
          t.ok(selector.includes('job=~"$job"') || expr.includes('ALERTS'), `${title} is of the chosen jobs`)
        }
        for (const [range] of expr.matchAll(/\b(?:rate|increase)\([^[]*\[([^\]]*)\]/g)) {
          t.ok(/\$__rate_interval|\$__range|30d|1h/.test(range), `${title}: a window that fits any zoom`)
        }
      }
      for (const { url } of links) {
        const name = url.split('/').at(-1)!
        t.ok(readdirSync(new URL('monitoring/runbooks/', root)).includes(name), `${title}: the runbook ${name} exists`)
      }
    }
  })
}

t.test('a threshold of a panel is that of its alert', async (t) => {
  for (const { rows } of dashboards) {
    for (const { title, alert: name, threshold } of rows.flatMap(({ panels }) => panels)) {
      if (name === undefined || threshold === undefined) continue
      const expressions = rules.filter((rule) => rule.alert === name).map(({ expression }) => expression)
      const numbers = expressions.flatMap((expression) =>
        [...expression.matchAll(/\d+(\.\d+)?/g)].map(([number]) => Number(number)),
      )
      // `up == 0` is red below 1.
      t.ok(numbers.includes(threshold) || numbers.includes(threshold - 1), `${title} has a threshold of ${name}`)
    }
  }
})

t.test('the dashboard that an alert names exists', async (t) => {
  const alerts = rules.filter(({ alert }) => alert !== undefined)
  t.ok(alerts.length > 0)
  for (const { alert: name, annotations } of alerts) {
    const [, uid] = /\/d\/(\w+)/.exec(annotations.dashboard_url ?? '') ?? []
    t.ok(
      dashboards.some((dashboard) => dashboard.uid === uid),
      `${name} names ${uid}`,
    )
  }
})

t.test("the specification's five panels are on the overview", async (t) => {
  const titles = models.find(({ uid }) => uid === 'overview')!.panels.map(({ title }) => title)
  for (const title of ['Request Rate', 'P95 Latency', 'Error Rate', 'Tool Executions', 'System Resources']) {
    t.ok(titles.includes(title), title)
  }
})

t.test('every panel shows data on a real Prometheus', { timeout: 90_000 }, async (t) => {
  const tool = await toolOrSkip(t, () => promtool())
  if (tool === undefined || exposition === undefined) return
  const directory = t.testdir({ 'data.om': backfill(lines) })
  const { code, stderr } = await runTool(tool, [
    ...['tsdb', 'create-blocks-from', 'openmetrics', join(directory, 'data.om'), join(directory, 'data')],
  ])
  t.equal(code, 0, stderr)
  const rulesFolder = fileURLToPath(new URL('monitoring/prometheus/', root))
  const prometheus = await startPrometheus({
    directory,
    config: `
global: { evaluation_interval: 1s }
rule_files: ['${rulesFolder}rules/*.yml', '${rulesFolder}alerts/*.yml']
`,
  })
  t.teardown(() => prometheus.stop())

  const values = { job: 'backend', instance: 'backend:800[12]', __rate_interval: '5m', __range: '1h' }
  const targets = models.flatMap(({ uid, panels }) =>
    panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ ...target, panel: `${uid}: ${title}` }))),
  )
  // Rules that use other rules need a few evaluations.
  const deadline = Date.now() + 30_000
  for (const { panel, refId, expr, legendFormat } of targets) {
    const expression = substitute(expr, values)
    let samples = await prometheus.query(expression)
    while (!samples.some(({ value }) => !Number.isNaN(value)) && Date.now() < deadline) {
      await sleep(250)
      samples = await prometheus.query(expression)
    }
    t.ok(
      samples.some(({ value }) => !Number.isNaN(value)),
      `${panel} ${refId} has data: ${expression}`,
    )
    for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
      t.ok(
        samples.every(({ labels }) => label! in labels),
        `${panel} ${refId} has the label ${label} of its legend`,
      )
    }
  }
  for (const { uid, metric } of dashboards) {
    t.not((await prometheus.query(`count(${metric}{job="backend"})`)).length, 0, `${uid} finds its jobs by ${metric}`)
  }
})

/** The purpose of an alert with a label of its own. */
function alert(description: string): Purpose {
  return { alert: { name: 'Example', labels: ['severity'], annotations: { description } } }
}

function parseExposition(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line)!
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(
        ([, label, text]) => [label!, text!] as const,
      )
      return { name: name!, labels: Object.fromEntries(pairs), value: value! }
    })
}

function samplesOf({ name, type }: Metric): Line[] {
  const names = type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]
  return lines.filter((line) => names.includes(line.name))
}

function labelsOf(samples: Line[]): string[] {
  return [...new Set(samples.flatMap(({ labels }) => Object.keys(labels)))].filter((label) => label !== 'le').sort()
}

function boundsOf(samples: Line[]): string[] {
  return [...new Set(samples.flatMap(({ labels: { le } }) => (le === undefined || le === '+Inf' ? [] : [le])))]
}

/**
 * An hour of two processes that ended up at these values: what counts grew evenly, the rest was always so. It ends a
 * minute ago, since Prometheus takes no blocks of the present.
 */
function backfill(samples: Line[]): string {
  const STEPS = 60
  const end = Math.floor(Date.now() / 1000) - 60
  const counters = new Set(
    catalogue.flatMap(({ name, type }) => {
      if (type === 'counter') return [name]
      return type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : []
    }),
  )
  const all = [...samples, { name: 'up', labels: {}, value: '1' }]
  const text: string[] = []
  for (const { name, labels, value } of all) {
    for (const instance of ['backend:8001', 'backend:8002']) {
      const pairs = Object.entries({ ...labels, instance, job: 'backend' }).map(([label, text]) => `${label}="${text}"`)
      const series = `${name}{${pairs.join()}}`
      for (let step = 0; step <= STEPS; step += 1) {
        const grown = counters.has(name) ? (Number(value) * step) / STEPS : value
        text.push(`${series} ${grown} ${end - (STEPS - step) * 60}`)
      }
    }
  }
  return `${text.join('\n')}\n# EOF\n`
}
