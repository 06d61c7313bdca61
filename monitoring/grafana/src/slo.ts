/**
 * The objectives of /api/run and of the tools over 30 days, and how fast their error budgets burn.
 *
 * @module
 */
import type { Dashboard } from './dashboard.ts'
import { JOB, type Panel } from './panel.ts'

/** Shares of bad requests that the objectives allow, as in monitoring/prometheus/alerts/slo.yml. */
const FAILURE_BUDGET = 0.001
const SLOW_BUDGET = 0.01

const WINDOWS = ['5m', '30m', '1h', '2h', '6h', '1d', '3d']
const RUNS = `endpoint="/api/run",${JOB}`

const FAILED = {
  of: 'requests',
  what: 'failed (5xx)',
  all: `sum by (job) (increase(http_requests_total{${RUNS}}[30d]))`,
  recorded: 'http_run_failures_per_request',
  bad: `sum by (job) (increase(http_requests_total{${RUNS},status=~"5.."}[30d]))`,
  budget: FAILURE_BUDGET,
  alert: 'HttpRunErrorBudgetBurn',
}
const SLOW = {
  of: 'runs of tools',
  what: 'took more than 300 s',
  all: `sum by (job) (increase(tool_execution_duration_seconds_bucket{${JOB},le="+Inf"}[30d]))`,
  recorded: 'tool_slow_per_execution',
  bad: `(sum by (job) (increase(tool_execution_duration_seconds_bucket{${JOB},le="+Inf"}[30d])) - sum by (job) (increase(tool_execution_duration_seconds_bucket{${JOB},le="300.0"}[30d])))`,
  budget: SLOW_BUDGET,
  alert: 'ToolLatencyBudgetBurn',
}

export const slo: Dashboard = {
  uid: 'slo',
  title: 'Service level objectives',
  description:
    'In 30 days, 99.9 % of the requests to /api/run do not fail, and 99 % of the runs of tools take at most 300 s.',
  metric: 'http_requests_total',
  rows: [
    { title: 'Availability: 99.9 % do not fail', panels: panelsOf('availability', FAILED) },
    { title: 'Latency: 99 % of the runs of tools take at most 300 s', panels: panelsOf('latency', SLOW) },
    {
      title: 'Volume',
      panels: [
        {
          title: 'Requests to /api/run',
          description: 'Per second over an hour: a ratio of few requests says little.',
          unit: 'reqps',
          queries: [
            {
              expression: `sum by (job) (rate(http_requests_total{${RUNS}}[1h]))`,
              legend: '{{job}}',
            },
          ],
        },
        {
          title: 'Slow requests to /api/run',
          description:
            'Share of the requests that did not fail and took more than 5 s. A run may take what its tool takes.',
          unit: 'percentunit',
          queries: ['5m', '1h'].map((window) => ({
            expression: `job:http_run_slow_per_request:ratio_rate${window}{${JOB}}`,
            legend: `{{job}} ${window}`,
          })),
        },
      ],
    },
  ],
}

function panelsOf(name: string, { of, what, all, recorded, bad, budget, alert }: typeof FAILED): Panel[] {
  return [
    {
      kind: 'stat',
      title: `Budget left, ${name}`,
      description: `Part of the ${of} that may have ${what} in 30 days, and have not yet. Below 0 the objective is missed.`,
      unit: 'percentunit',
      width: 4,
      threshold: 0,
      isLowBad: true,
      queries: [
        {
          expression: `1 - ${bad} / ${all} / ${budget}`,
          legend: '{{job}}',
        },
      ],
    },
    {
      title: `Burn rate, ${name}`,
      description:
        'How many times faster than allowed the budget burns, by window: 1 uses it up in 30 days, 14.4 a fiftieth of it in an hour.',
      unit: 'none',
      width: 10,
      threshold: 14.4,
      alert,
      queries: WINDOWS.map((window) => ({
        expression: `job:${recorded}:ratio_rate${window}{${JOB}} / ${budget}`,
        legend: `{{job}} ${window}`,
      })),
    },
    {
      title: `Bad ${of}, ${name}`,
      description: `Share of ${of} that ${what}, over an hour and over three days.`,
      unit: 'percentunit',
      width: 10,
      threshold: budget,
      queries: ['1h', '3d'].map((window) => ({
        expression: `job:${recorded}:ratio_rate${window}{${JOB}}`,
        legend: `{{job}} ${window}`,
      })),
    },
  ]
}
