import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type PrometheusService,
  promtool,
  runTool,
  type Sample,
  startPrometheus,
  toolOrSkip,
  until,
} from '@data20/dev-services'
import { substitute } from '@data20/promql-lint'
import t from 'tap'
import { catalogue } from '../catalogue/metrics.ts'
import { root } from '../catalogue/root.ts'
import { readRules } from '../catalogue/sources.ts'
import { dashboards, renderDashboards } from '../grafana/src/dashboards.ts'
import { exposeAll, type Line, parseExposition } from './exposition.ts'

/** What is used of Grafana's model. */
interface GrafanaDashboard {
  uid: string
  panels: Array<{ title: string; targets?: Array<{ refId: string; expr: string; legendFormat: string }> }>
}

/** A query of a panel. */
interface Target {
  panel: string
  refId: string
  expression: string
  legendFormat: string
}

const VALUES = { job: 'backend', instance: 'backend:800[12]', __rate_interval: '5m', __range: '1h' }

const TARGETS: Target[] = [...renderDashboards(readRules(root)).values()]
  .map((text) => JSON.parse(text) as GrafanaDashboard)
  .flatMap(({ uid, panels }) =>
    panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ refId, expr, legendFormat }) => ({
        panel: `${uid}: ${title}`,
        refId,
        expression: substitute(expr, VALUES),
        legendFormat,
      })),
    ),
  )

t.test('every panel shows data on a real Prometheus', { timeout: 200_000 }, async (t) => {
  const tool = await toolOrSkip(t, () => promtool())
  const exposition = tool && (await toolOrSkip(t, () => exposeAll(t)))
  if (tool === undefined || exposition === undefined) return
  const directory = t.testdir({ 'data.om': backfill(parseExposition(exposition)) })
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

  const samplesOf = await queryAll(prometheus)
  for (const target of TARGETS) {
    const { panel, refId, expression, legendFormat } = target
    const samples = samplesOf.get(target) ?? []
    t.ok(hasNumber(samples), `${panel} ${refId} has data: ${expression}`)
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

/** Queries every target until it has data: rules that read other rules need a few evaluations. */
async function queryAll(prometheus: PrometheusService): Promise<Map<Target, Sample[]>> {
  const found = new Map<Target, Sample[]>()
  const isDone = async () => {
    for (const target of TARGETS.filter((target) => !found.has(target))) {
      const samples = await prometheus.query(target.expression)
      if (hasNumber(samples)) found.set(target, samples)
    }
    return found.size === TARGETS.length
  }
  // The assertions name the targets without data.
  await until('data in every panel', isDone).catch(() => {})
  return found
}

function hasNumber(samples: Sample[]): boolean {
  return samples.some(({ value }) => !Number.isNaN(value))
}

/**
 * Returns an hour of samples of two processes: counters grow evenly to these values, gauges keep them. The hour ends a
 * minute ago, since Prometheus does not load blocks of the present.
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
