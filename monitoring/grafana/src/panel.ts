/**
 * A panel as data, and its conversion to Grafana: title, description, unit, data source and legend are uniform.
 *
 * @module
 */
import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import {
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  HeatmapCellLayout,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import {
  DashboardLinkBuilder,
  DashboardLinkType,
  type Panel as GrafanaPanel,
  type GridPos,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { PanelBuilder as HeatmapBuilder, RowsHeatmapOptionsBuilder } from '@grafana/grafana-foundation-sdk/heatmap'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table'
import { PanelBuilder as GraphBuilder } from '@grafana/grafana-foundation-sdk/timeseries'

/** One query: an expression, and the legend of its series (`{{label}}`). */
export interface Query {
  expression: string
  legend: string
}

export interface Panel {
  /** Unique in its dashboard, since the id of the panel is derived from it. */
  title: string
  /** What it shows, and when to worry. */
  description: string
  /** One of Grafana's units. */
  unit: string
  queries: readonly Query[]
  /** A table and a stat show current values, a graph and a heatmap those over time. @default 'graph' */
  kind?: 'graph' | 'heatmap' | 'stat' | 'table'
  /** Width in columns of 24. @default an equal part of the row */
  width?: number
  /** From this value on it is red. */
  threshold?: number
  /** Values below the threshold are bad. @default false */
  isLowBad?: boolean
  /** The alert that has this threshold, and whose runbook is linked. */
  alert?: string
  /** Largest value of the axis. */
  max?: number
  /** Series are parts of a whole. @default false */
  isStacked?: boolean
}

/** The data source variable, which every panel uses. */
export const DATASOURCE = { type: 'prometheus', uid: `\${datasource}` }

/** Matchers for the selected targets; for recording rules, which have no instance, only the jobs. */
export const TARGET = 'job=~"$job",instance=~"$instance"'
export const JOB = 'job=~"$job"'

/** The window of a rate: at least four scrape intervals, more when zoomed out. */
export const WINDOW = '[$__rate_interval]'

/** Returns Grafana's panel. `runbookUrl` is that of the panel's alert. */
export function createPanel(panel: Panel, gridPos: GridPos, runbookUrl: string | undefined): Builder<GrafanaPanel> {
  const { title, description, unit, queries, kind = 'graph', max } = panel
  const builder = BUILDERS[kind](panel)
    .id(idOf(title))
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(DATASOURCE)
    .gridPos(gridPos)
    .min(0)
    .thresholds(thresholdsOf(panel))
    .targets(queries.map((query, index) => createTarget(query, index, kind)))
  if (max !== undefined) builder.max(max)
  if (runbookUrl === undefined) return builder
  const link = new DashboardLinkBuilder(`Runbook of ${panel.alert}`).type(DashboardLinkType.Link).url(runbookUrl)
  return builder.links([link.targetBlank(true)])
}

/** Returns a stable id for a title, independent of the order of panels: FNV-1a, reduced to five digits. */
export function idOf(title: string): number {
  let hash = 0x811c9dc5
  for (const character of title) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193) >>> 0
  return 1 + (hash % 99_999)
}

const BUILDERS = {
  graph: createGraph,
  heatmap: createHeatmap,
  stat: createStat,
  table: createTable,
}

function createGraph({ threshold, isStacked = false }: Panel): GraphBuilder {
  const builder = new GraphBuilder()
    .fillOpacity(isStacked ? 40 : 10)
    .showPoints(VisibilityMode.Never)
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.Table)
        .placement(LegendPlacement.Bottom)
        .showLegend(true)
        .calcs(['mean', 'max', 'lastNotNull']),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
  if (isStacked) builder.stacking(new StackingConfigBuilder().mode(StackingMode.Normal))
  if (threshold !== undefined) {
    builder.thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed))
  }
  return builder
}

/** A heatmap of histogram buckets, one row each. */
function createHeatmap(): HeatmapBuilder {
  return new HeatmapBuilder().calculate(false).rowsFrame(new RowsHeatmapOptionsBuilder().layout(HeatmapCellLayout.Auto))
}

function createStat(): StatBuilder {
  return new StatBuilder().reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
}

function createTable(): TableBuilder {
  // Only the labels and the value are of interest.
  return new TableBuilder().withTransformation({
    id: 'organize',
    options: { excludeByName: { Time: true, __name__: true } },
  })
}

function thresholdsOf({ threshold, isLowBad = false }: Panel): ThresholdsConfigBuilder {
  const [low, high] = isLowBad ? ['red', 'green'] : ['green', 'red']
  const steps = [{ value: null, color: low! }]
  return new ThresholdsConfigBuilder()
    .mode(ThresholdsMode.Absolute)
    .steps(threshold === undefined ? [{ value: null, color: 'green' }] : [...steps, { value: threshold, color: high! }])
}

function createTarget({ expression, legend }: Query, index: number, kind: Panel['kind']): DataqueryBuilder {
  const target = new DataqueryBuilder()
    .refId(String.fromCharCode('A'.charCodeAt(0) + index))
    .expr(expression)
    .legendFormat(legend)
    .datasource(DATASOURCE)
  if (kind === 'table') return target.instant().format(PromQueryFormat.Table)
  if (kind === 'stat') return target.instant()
  if (kind === 'heatmap') return target.range().format(PromQueryFormat.Heatmap)
  return target.range()
}
