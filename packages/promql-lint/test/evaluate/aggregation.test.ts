import t from 'tap'
import { testMessages, testRight, testWrong } from '../helpers.ts'

testWrong(t, [
  ['grouping', 'sum by (route) (rate(http_requests_total[5m]))'],
  ['grouping', 'sum without (code) (rate(http_requests_total[5m]))'],
  ['aggregation', 'sum by (queue) (queue_length)'],
  ['counter', 'sum by (endpoint) (http_requests_total)'],
])

testRight(t, [
  ['count(http_requests_total)'],
  ['max by (queue) (queue_length)'],
  ['sum by (queue) (celery_queue_length)'],
  ['topk(10, count by (__name__) ({job="backend"}))'],
  ['sum by (instance) (queue_length)'],
])

testMessages(t, {
  'sum by (route) (up)': 'by (route): no label route; labels: instance, job',
  'sum(sum by (route) (vector(1)))': 'by (route): no label route; labels: none',
  'sum by (queue) (queue_length)': 'sum of queue_length, which is the same in every process: use max',
})
