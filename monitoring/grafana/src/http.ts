/**
 * HTTP requests: by endpoint, status and method, their durations and outcomes.
 *
 * @module
 */
import type { Dashboard } from './dashboard.ts'
import { JOB, TARGET, WINDOW } from './panel.ts'

export const http: Dashboard = {
  uid: 'http',
  title: 'HTTP',
  description: 'Requests by endpoint, status and method; their duration; clients that left.',
  metric: 'http_requests_total',
  rows: [
    {
      title: 'Rate',
      panels: [
        {
          title: 'Requests by endpoint',
          description: 'Requests per second by the pattern of their route; `unmatched` matched none.',
          unit: 'reqps',
          queries: [
            { expression: `sum by (endpoint) (rate(http_requests_total{${TARGET}}${WINDOW}))`, legend: '{{endpoint}}' },
          ],
        },
        {
          title: 'Requests by status',
          description: 'Requests per second by status. 499: the connection ended before any answer.',
          unit: 'reqps',
          isStacked: true,
          queries: [
            { expression: `sum by (status) (rate(http_requests_total{${TARGET}}${WINDOW}))`, legend: '{{status}}' },
          ],
        },
        {
          title: 'Requests in flight',
          description: 'Begun and not yet ended. A level that stays up is work that does not end.',
          unit: 'none',
          queries: [{ expression: `sum by (endpoint) (http_requests_in_flight{${TARGET}})`, legend: '{{endpoint}}' }],
        },
      ],
    },
    {
      title: 'Errors',
      panels: [
        {
          title: 'Failures by endpoint',
          description:
            'Share of an endpoint’s requests that the service failed (5xx), over 5 minutes, as the alert sees it.',
          unit: 'percentunit',
          threshold: 0.05,
          alert: 'HighHTTPErrorRate',
          queries: [
            {
              expression: `job_endpoint:http_failures_per_request:ratio_rate5m{${JOB}}`,
              legend: '{{job}} {{endpoint}}',
            },
          ],
        },
        {
          title: 'Errors by status',
          description: 'Requests per second with a status of 400 and above: 4xx is what clients do wrong.',
          unit: 'reqps',
          isStacked: true,
          queries: [
            {
              expression: `sum by (endpoint, status) (rate(http_errors_total{${TARGET}}${WINDOW}))`,
              legend: '{{status}} {{endpoint}}',
            },
          ],
        },
        {
          title: 'Requests without a whole response',
          description:
            'Per second: the client left before the headers or in the middle of the response, or the server broke it off.',
          unit: 'reqps',
          alert: 'HttpAbortRatioHigh',
          queries: [
            {
              expression: `sum by (phase) (rate(http_requests_aborted_total{${TARGET}}${WINDOW}))`,
              legend: '{{phase}}',
            },
          ],
        },
        {
          title: 'Bytes that never became a request',
          description: 'Per second, by the error of the parser: broken clients and scanners.',
          unit: 'reqps',
          queries: [
            { expression: `sum by (code) (rate(http_parser_errors_total{${TARGET}}${WINDOW}))`, legend: '{{code}}' },
          ],
        },
      ],
    },
    {
      title: 'Duration',
      panels: [
        {
          title: 'Quantiles of all requests',
          description: 'Half, 95 and 99 of 100 requests took less than this.',
          unit: 's',
          threshold: 5,
          queries: [0.5, 0.95, 0.99].map((quantile) => ({
            expression: `histogram_quantile(${quantile}, sum by (le) (rate(http_request_duration_seconds_bucket{${TARGET}}${WINDOW})))`,
            legend: `p${quantile * 100}`,
          })),
        },
        {
          title: 'P95 by endpoint',
          description: '95 of 100 requests of an endpoint took less than this, over 5 minutes, as the alert sees it.',
          unit: 's',
          threshold: 5,
          alert: 'HttpSlowRequests',
          queries: [
            {
              expression: `job_endpoint:http_request_duration_seconds:p95_rate5m{${JOB}}`,
              legend: '{{job}} {{endpoint}}',
            },
          ],
        },
        {
          title: 'Mean by endpoint',
          description: 'All time spent on an endpoint, over the number of its requests.',
          unit: 's',
          queries: [
            {
              expression: `sum by (endpoint) (rate(http_request_duration_seconds_sum{${TARGET}}${WINDOW})) / sum by (endpoint) (rate(http_request_duration_seconds_count{${TARGET}}${WINDOW}))`,
              legend: '{{endpoint}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Where the time goes',
      panels: [
        {
          kind: 'heatmap',
          title: 'Durations',
          description: 'How many requests took how long.',
          unit: 's',
          queries: [
            {
              expression: `sum by (le) (increase(http_request_duration_seconds_bucket{${TARGET}}${WINDOW}))`,
              legend: '{{le}}',
            },
          ],
        },
        {
          kind: 'table',
          title: 'Slowest endpoints',
          description: 'The five endpoints with the highest 99th percentile over the time shown.',
          unit: 's',
          queries: [
            {
              expression: `topk(5, histogram_quantile(0.99, sum by (le, endpoint) (rate(http_request_duration_seconds_bucket{${TARGET}}[$__range]))))`,
              legend: '{{endpoint}}',
            },
          ],
        },
        {
          kind: 'table',
          title: 'Busiest endpoints',
          description: 'The ten endpoints with the most requests per second over the time shown.',
          unit: 'reqps',
          queries: [
            {
              expression: `topk(10, sum by (endpoint, method) (rate(http_requests_total{${TARGET}}[$__range])))`,
              legend: '{{method}} {{endpoint}}',
            },
          ],
        },
      ],
    },
  ],
}
