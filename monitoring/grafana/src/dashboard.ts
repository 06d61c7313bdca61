/**
 * A dashboard as data, and its conversion to Grafana: variables, links and grid are uniform.
 *
 * @module
 */
import {
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Dashboard as GrafanaDashboard,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { createPanel, DATASOURCE, idOf, type Panel } from './panel.ts'

export interface Row {
  title: string
  panels: readonly Panel[]
  /** Height of its panels, in Grafana's units of 30 pixels. @default 8 */
  height?: number
}

export interface Dashboard {
  /** The stem of its package; alerts link to it. */
  uid: string
  title: string
  description: string
  /** The metric whose jobs and instances can be selected. */
  metric: string
  rows: readonly Row[]
}

const TAG = 'data20'
const WIDTH = 24

/** Returns Grafana's dashboard. `runbookUrls` are by the name of the alert. Throws for an alert without one. */
export function createDashboard(
  { uid, title, description, metric, rows }: Dashboard,
  runbookUrls: ReadonlyMap<string, string>,
): GrafanaDashboard {
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags([TAG, 'generated'])
    .readonly()
    .refresh('30s')
    .time({ from: 'now-1h', to: 'now' })
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .withVariable(
      new DatasourceVariableBuilder('datasource')
        .label('Data source')
        .description('The Prometheus that is asked.')
        .type('prometheus')
        // The provisioned one.
        .current({ text: 'Prometheus', value: 'prometheus', selected: true }),
    )
    .withVariable(createVariable('job', 'Jobs as they are called in prometheus.yml.', `label_values(${metric}, job)`))
    .withVariable(
      createVariable('instance', 'Processes of these jobs.', `label_values(${metric}{job=~"$job"}, instance)`),
    )
    .link(
      new DashboardLinkBuilder('Dashboards')
        .type(DashboardLinkType.Dashboards)
        .tags([TAG])
        .asDropdown(true)
        .includeVars(true)
        .keepTime(true),
    )

  let y = 0
  for (const { title, panels, height = 8 } of rows) {
    // A row and a panel may have the same title.
    builder.withRow(new RowBuilder(title).id(idOf(`row ${title}`)).gridPos({ x: 0, y, w: WIDTH, h: 1 }))
    y += 1
    let x = 0
    for (const [index, panel] of panels.entries()) {
      // Five panels are 4, 5, 5, 5 and 5 wide.
      const {
        width: w = Math.floor(((index + 1) * WIDTH) / panels.length) - Math.floor((index * WIDTH) / panels.length),
      } = panel
      builder.withPanel(createPanel(panel, { x, y, w, h: height }, runbookOf(panel)))
      x += w
    }
    y += height
  }
  const model = builder.build()
  // The builder puts every link into a menu.
  for (const link of model.links ?? []) delete link.placement
  return model

  function runbookOf({ title: panel, alert }: Panel): string | undefined {
    if (alert === undefined) return undefined
    const url = runbookUrls.get(alert)
    if (url === undefined) throw new Error(`Expected panel "${panel}" to have the name of an alert, got ${alert}`)
    return url
  }
}

function createVariable(name: string, description: string, query: string): QueryVariableBuilder {
  return (
    new QueryVariableBuilder(name)
      .label(name)
      .description(description)
      .datasource(DATASOURCE)
      .query(query)
      .refresh(VariableRefresh.OnTimeRangeChanged)
      .sort(VariableSort.AlphabeticalAsc)
      .multi(true)
      .includeAll(true)
      // One pattern instead of a list of all values.
      .allValue('.+')
      .current({ text: ['All'], value: ['$__all'], selected: true })
  )
}
