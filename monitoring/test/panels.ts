/** The queries of the shipped dashboards, with variables substituted as Grafana does. */
import type { PrometheusService } from '@data20/dev-services'
import { parse } from 'yaml'
import { list, read } from './helpers.ts'

/** One query of one panel. */
export interface PanelQuery {
  /** Dashboard and panel. */
  title: string
  expression: string
  /**
   * `true` for a stat or a table, which query the present; `false` for a query over the time range of the dashboard.
   */
  isInstant: boolean
}

/** A variable of a dashboard, and the label that provides its values. */
export interface Variable {
  title: string
  selector: string
  label: string
}

interface Model {
  title: string
  time: { from: string; to: string }
  templating: {
    list: Array<{ name: string; type: string; query: string; allValue: string; current: { value: unknown } }>
  }
  panels: Array<{ title: string; targets?: Array<{ expr: string; instant?: boolean }> }>
}

/** Dashboards, by title, of plugins that the backend has no use for, so that its traffic fills none of their panels. */
const ELSEWHERE: readonly string[] = []

const models = list('grafana/dashboards', '.json')
  .map((name) => JSON.parse(read('grafana/dashboards', name)) as Model)
  .filter(({ title }) => !ELSEWHERE.includes(title))

/** The default time range of every dashboard, in seconds. */
const RANGE = 3600
/** The scrape interval in seconds, as Grafana is configured. */
const { timeInterval } = parse(read('grafana/provisioning/datasources/prometheus.yaml')).datasources[0].jsonData
const STEP = Number.parseInt(timeInterval, 10)

/** Returns every query of every panel of every dashboard. */
export function panelQueries(): PanelQuery[] {
  return models.flatMap((model) => {
    const { title, time, panels } = model
    if (time.from !== 'now-1h' || time.to !== 'now')
      throw new Error(`Expected ${title} to show an hour, got ${time.from}`)
    return panels.flatMap((panel) =>
      (panel.targets ?? []).map(({ expr, instant = false }) => ({
        title: `${title} / ${panel.title}`,
        expression: substitute(expr, model),
        isInstant: instant,
      })),
    )
  })
}

/** Returns every variable whose values come from Prometheus. */
export function variables(): Variable[] {
  return models.flatMap((model) =>
    model.templating.list
      .filter(({ type }) => type === 'query')
      .map(({ name, query }) => {
        const [, selector, label] = /^label_values\((.+), (\w+)\)$/.exec(substitute(query, model)) ?? []
        if (!selector || !label) throw new Error(`Expected label_values(…), got ${query}`)
        return { title: `${model.title} / $${name}`, selector, label }
      }),
  )
}

/** Returns the finite numbers that a panel shows now. */
export async function valuesOf(server: PrometheusService, query: PanelQuery): Promise<number[]> {
  if (query.isInstant) {
    const samples = await server.query(query.expression)
    return samples.map(({ value }) => value).filter(Number.isFinite)
  }
  const time = Date.now() / 1000
  const parameters = { query: query.expression, start: `${time - RANGE}`, end: `${time}`, step: `${STEP}` }
  const { result } = await get<{ result: Array<{ values: Array<[number, string]> }> }>(
    `${server.url}/api/v1/query_range?${new URLSearchParams(parameters)}`,
  )
  return result.flatMap(({ values }) => values.map(([, value]) => Number(value))).filter(Number.isFinite)
}

/** Returns the values of a variable. */
export async function choicesOf(server: PrometheusService, { selector, label }: Variable): Promise<string[]> {
  return await get(`${server.url}/api/v1/label/${label}/values?${new URLSearchParams({ 'match[]': selector })}`)
}

/** Substitutes variables as Grafana does: their initial values, and a rate window of four scrape intervals. */
function substitute(text: string, { templating }: Model): string {
  const values = new Map([
    ['__rate_interval', `${4 * STEP}s`],
    ['__range', `${RANGE}s`],
  ])
  for (const { name, allValue, current } of templating.list) {
    values.set(name, String(current.value) === '$__all' ? allValue : String(current.value))
  }
  return text.replaceAll(/\$(\w+)/g, (_, name) => {
    const value = values.get(name)
    if (value === undefined) throw new Error(`Expected no variable but ${[...values.keys()]}, got ${name}`)
    return value
  })
}

async function get<Data>(url: string): Promise<Data> {
  const { status, data, error } = (await (await fetch(url)).json()) as { status: string; data: Data; error?: string }
  if (status !== 'success') throw new Error(error)
  return data
}
