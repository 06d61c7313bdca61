import t from 'tap'
import { testMessages, testRight, testWrong } from '../helpers.ts'

testWrong(t, [
  ['counter', 'http_requests_total > 0'],
  ['counter', 'sum by (queue) (rate(celery_tasks_total[5m])) / sum by (queue) (celery_tasks_total)'],
  ['threshold', 'histogram_quantile(0.9, rate(http_request_duration_seconds_bucket[5m])) > 300'],
  ['threshold', 'histogram_quantile(0.9, rate(http_request_duration_seconds_bucket[5m])) > 10'],
  ['threshold', 'histogram_quantile(0.9, rate(http_request_duration_seconds_bucket[5m])) > 3'],
  ['threshold', 'job_endpoint:http_request_duration_seconds:p95_rate5m > 2 * 3'],
  ['threshold', '20m < max by (queue) (histogram_quantile(0.9, rate(celery_task_duration_seconds_bucket[5m])))'],
])

testRight(t, [
  ['http_requests_total - http_requests_total offset 1d'],
  ['rate(db_queries_total[5m]) or db_queries_total * 0'],
  ['histogram_quantile(0.9, rate(tool_execution_duration_seconds_bucket[5m])) > 300'],
  ['histogram_quantile(0.9, rate(tool_execution_duration_seconds_bucket[5m])) > 5m'],
])

testMessages(t, {
  'http_requests_total > 0':
    'the raw value of counter http_requests_total depends on when its process started: use rate or increase',
  'histogram_quantile(0.9, rate(http_request_duration_seconds_bucket[5m])) > 300':
    'a quantile never exceeds the largest bucket boundary, 10: 300 is out of reach',
  'histogram_quantile(0.9, rate(http_request_duration_seconds_bucket[5m])) > 3':
    '3 is not a bucket boundary, so the quantile is interpolated; boundaries: 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10',
})
