import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { root } from '../catalogue/root.ts'
import { readRules } from '../catalogue/sources.ts'
import { dashboards, renderDashboards } from '../grafana/src/dashboards.ts'

const rules = readRules(root)

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
