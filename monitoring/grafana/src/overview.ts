/**
 * The overview: requests by rate, errors and duration (RED), resources by utilization, saturation and errors (USE).
 *
 * @module
 */
import type { Dashboard } from './dashboard.ts'
import { TARGET, WINDOW } from './panel.ts'
import { oldestJob, poolSaturation, poolSaturationQuery } from './shared.ts'

export const overview: Dashboard = {
  uid: 'overview',
  title: 'Overview',
  description: 'Is the service well? Requests by rate, errors and duration; resources by use, saturation and errors.',
  metric: 'app_info',
  rows: [
    {
      title: 'Now',
      height: 4,
      panels: [
        {
          kind: 'stat',
          title: 'Processes up',
          description: 'Targets that Prometheus could scrape. Fewer than you started: see the runbook of ServiceDown.',
          unit: 'none',
          threshold: 1,
          isLowBad: true,
          alert: 'ServiceDown',
          queries: [{ expression: `sum(up{${TARGET}})`, legend: 'up' }],
        },
        {
          kind: 'stat',
          title: 'Alerts firing',
          description: 'Alerts of any job that fire now, without the Watchdog, which always does.',
          unit: 'none',
          threshold: 1,
          queries: [
            {
              expression: 'count(ALERTS{alertstate="firing",alertname!="Watchdog"}) or vector(0)',
              legend: 'alerts',
            },
          ],
        },
        {
          kind: 'stat',
          title: 'Requests per second',
          description: 'All requests, however they ended.',
          unit: 'reqps',
          queries: [{ expression: `sum(rate(http_requests_total{${TARGET}}${WINDOW}))`, legend: 'requests' }],
        },
        {
          kind: 'stat',
          title: 'Failures',
          description: 'Share of requests that the service itself failed (5xx). The alert looks at each endpoint.',
          unit: 'percentunit',
          threshold: 0.05,
          alert: 'HighHTTPErrorRate',
          queries: [
            {
              expression: `sum(rate(http_requests_total{${TARGET},status=~"5.."}${WINDOW})) / sum(rate(http_requests_total{${TARGET}}${WINDOW}))`,
              legend: 'failures',
            },
          ],
        },
        {
          kind: 'stat',
          title: 'P95 of all requests',
          description: '95 of 100 requests took less than this.',
          unit: 's',
          threshold: 5,
          alert: 'HttpSlowRequests',
          queries: [
            {
              expression: `histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{${TARGET}}${WINDOW})))`,
              legend: 'p95',
            },
          ],
        },
        {
          kind: 'stat',
          title: 'Jobs waiting',
          description: 'Jobs ready to run and not yet taken, in all queues.',
          unit: 'none',
          queries: [{ expression: `sum(max by (queue) (queue_length{${TARGET}}))`, legend: 'jobs' }],
        },
      ],
    },
    {
      title: 'Requests: rate, errors, duration',
      panels: [
        {
          title: 'Request Rate',
          description: 'Requests per second by endpoint, the pattern of their route.',
          unit: 'reqps',
          queries: [
            { expression: `sum by (endpoint) (rate(http_requests_total{${TARGET}}${WINDOW}))`, legend: '{{endpoint}}' },
          ],
        },
        {
          title: 'Error Rate',
          description:
            'Share of requests with a status of 400 and above, and of those that are the fault of the service (5xx).',
          unit: 'percentunit',
          threshold: 0.05,
          alert: 'HighHTTPErrorRate',
          queries: [
            {
              expression: `sum(rate(http_errors_total{${TARGET}}${WINDOW})) / sum(rate(http_requests_total{${TARGET}}${WINDOW}))`,
              legend: 'errors (4xx and 5xx)',
            },
            {
              expression: `sum(rate(http_requests_total{${TARGET},status=~"5.."}${WINDOW})) / sum(rate(http_requests_total{${TARGET}}${WINDOW}))`,
              legend: 'failures (5xx)',
            },
          ],
        },
        {
          title: 'P95 Latency',
          description: '95 of 100 requests of an endpoint took less than this.',
          unit: 's',
          threshold: 5,
          alert: 'HttpSlowRequests',
          queries: [
            {
              expression: `histogram_quantile(0.95, sum by (le, endpoint) (rate(http_request_duration_seconds_bucket{${TARGET}}${WINDOW})))`,
              legend: '{{endpoint}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Work: tools, queries, jobs',
      panels: [
        {
          title: 'Tool Executions',
          description: 'Tools that ended per second, by how they ended.',
          unit: 'ops',
          queries: [
            {
              expression: `sum by (tool_name, status) (rate(tool_executions_total{${TARGET}}${WINDOW}))`,
              legend: '{{tool_name}} {{status}}',
            },
          ],
        },
        {
          title: 'Queries',
          description: 'Database queries that ended per second, and those of them that failed.',
          unit: 'ops',
          alert: 'DbDown',
          queries: [
            { expression: `sum(rate(db_queries_total{${TARGET}}${WINDOW}))`, legend: 'queries' },
            { expression: `sum(rate(db_query_errors_total{${TARGET}}${WINDOW}))`, legend: 'failed' },
          ],
        },
        oldestJob('{{queue}}'),
      ],
    },
    {
      title: 'Resources: use, saturation, errors',
      panels: [
        {
          title: 'System Resources',
          description: 'Use of processors, memory and disk. The disk alerts sooner than the others, at 85 %.',
          unit: 'percent',
          threshold: 90,
          alert: 'SystemHighCpu',
          max: 100,
          queries: [
            { expression: `system_cpu_percent{${TARGET}}`, legend: 'processors {{instance}}' },
            { expression: `system_memory_percent{${TARGET}}`, legend: 'memory {{instance}}' },
            { expression: `system_disk_percent{${TARGET}}`, legend: 'disk {{instance}}' },
          ],
        },
        {
          title: 'Saturation',
          description: 'What is limited, as a share of its limit: near 1, work waits.',
          ...poolSaturation,
          queries: [
            poolSaturationQuery('connections '),
            { expression: `nodejs_eventloop_utilization_ratio{${TARGET}}`, legend: 'event loop {{instance}}' },
            {
              expression: `nodejs_heap_used_ratio{${TARGET}}`,
              legend: 'heap {{instance}}',
            },
          ],
        },
        {
          title: 'Collectors failing',
          description: 'Sources of metrics that gave no values at the last scrape: what they show is old.',
          unit: 'none',
          threshold: 1,
          alert: 'CoreCollectorFailing',
          queries: [
            {
              expression: `count by (collector) (metrics_collector_success{${TARGET}}) - sum by (collector) (metrics_collector_success{${TARGET}})`,
              legend: '{{collector}}',
            },
          ],
        },
      ],
    },
  ],
}
