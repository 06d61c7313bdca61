import t from 'tap'
import { testMessages, testRight, testWrong } from '../helpers.ts'

testWrong(t, [
  ['label', 'label_replace(queue_length, "task", "$1", "task_name", "(.*)")'],
  ['rate', 'rate(db_connections_active[5m])'],
  ['rate', 'increase(job_pool:db_slow_queries:rate5m[1h])'],
  ['rate', 'rate(sum(http_requests_total)[5m:1m])'],
  ['counter', 'scalar(http_requests_total)'],
  ['counter', 'deriv(http_requests_total[5m])'],
  ['counter', 'histogram_quantile(0.9, http_request_duration_seconds_bucket)'],
  ['quantile', 'histogram_quantile(0.9, sum by (endpoint) (rate(http_request_duration_seconds_bucket[5m])))'],
])

testRight(t, [['absent(http_requests_total{endpoint="/api/run"})']])

testMessages(t, {
  'rate(db_up[5m])': 'rate needs a counter, but db_up is a gauge',
  'rate(sum(http_requests_total)[5m:1m])':
    'rate cannot see counter resets after an aggregation: aggregate the rate instead',
  'deriv(http_requests_total[5m])': 'deriv of counter http_requests_total: use rate or increase',
  'scalar(http_requests_total)':
    'the raw value of counter http_requests_total depends on when its process started: use rate or increase',
  'histogram_quantile(0.9, http_request_duration_seconds_bucket)':
    'histogram_quantile of raw bucket counts, which go back to the start of the process: use rate',
  'histogram_quantile(0.9, sum(rate(http_request_duration_seconds_bucket[5m])))':
    'histogram_quantile needs the label le: keep it in the aggregation',
  'label_replace(queue_length, "task", "$1", "task_name", "(.*)")':
    'label_replace reads the label task_name, which does not exist',
})
