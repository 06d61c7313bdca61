/**
 * The objectives of POST /api/run over 30 days, and how fast their error budgets burn.
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
  what: 'failed (5xx)',
  recorded: 'http_run_failures_per_request',
  bad: `sum by (job) (increase(http_requests_total{${RUNS},status=~"5.."}[30d]))`,
  budget: FAILURE_BUDGET,
  alert: 'HttpRunErrorBudgetBurn',
}
const SLOW = {
  what: 'took more than 5 s',
  recorded: 'http_run_slow_per_request',
  bad: `(sum by (job) (increase(http_request_duration_seconds_count{${RUNS}}[30d])) - sum by (job) (increase(http_request_duration_seconds_bucket{${RUNS},le="5.0"}[30d])))`,
  budget: SLOW_BUDGET,
  alert: 'HttpRunLatencyBudgetBurn',
}

export const slo: Dashboard = {
  uid: 'slo',
  title: 'Service level objectives',
  description: 'Of all requests to /api/run in 30 days, 99.9 % do not fail and 99 % take at most 5 s.',
  metric: 'http_requests_total',
  rows: [
    { title: 'Availability: 99.9 % do not fail', panels: panelsOf('availability', FAILED) },
    { title: 'Latency: 99 % take at most 5 s', panels: panelsOf('latency', SLOW) },
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
      ],
    },
  ],
}

function panelsOf(name: string, { what, recorded, bad, budget, alert }: typeof FAILED): Panel[] {
  return [
    {
      kind: 'stat',
      title: `Budget left, ${name}`,
      description: `Part of the requests that may have ${what} in 30 days, and have not yet. Below 0 the objective is missed.`,
      unit: 'percentunit',
      width: 4,
      threshold: 0,
      isLowBad: true,
      queries: [
        {
          expression: `1 - ${bad} / sum by (job) (increase(http_requests_total{${RUNS}}[30d])) / ${budget}`,
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
      title: `Bad requests, ${name}`,
      description: `Share of requests that ${what}, over an hour and over three days.`,
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
