import t from 'tap'
import { describeBareCounter, listOf } from '../src/evaluate/context.ts'
import { evaluate } from '../src/evaluate.ts'
import { keep, matches, narrow, replaceLabel, union, vector, withLabel } from '../src/shape.ts'
import { lookup, testMessages, testRight, testWrong } from './helpers.ts'

testWrong(t, [
  ['syntax', 'sum by (endpoint rate(http_requests_total[5m]))'],
  ['syntax', 'rate(http_requests_total[5m]) /'],
  ['syntax', 'system_cpu_percent\nsystem_memory_percent'],
])

testRight(t, [['sum(rate(http_requests_total{status=~"5.."}[5m])) by (endpoint) # a comment'], ['app_info']])

testMessages(t, {
  'up up': 'syntax error at `up`',
  'up /': 'the expression ends too early',
  '': 'the expression ends too early',
})

t.test('numbers, durations and strings are constants', async (t) => {
  t.match(evaluate('-5m', lookup).shape, { kind: 'scalar', constant: -300 })
  t.match(evaluate('+(2 * 3)', lookup).shape, { kind: 'scalar', constant: 6 })
  t.match(evaluate('"a\\"b"', lookup).shape, { kind: 'string', text: 'a"b' })
})

t.test('an offset belongs to the operand before it', async (t) => {
  t.equal(evaluate('up offset 1d', lookup).shape.hasOffset, true)
  t.equal(evaluate('up - up offset 1d', lookup).shape.hasOffset, undefined)
})

t.test('an expression with a syntax error has no root and can have any label', async (t) => {
  const { root, shape } = evaluate('sum by (', lookup)
  t.equal(root, undefined)
  t.ok(shape.isOpen)
})

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
  ['sum(http_requests_total unless http_requests_total offset 5m) / 300'],
  ['rate(db_queries_total[5m]) or db_queries_total * 0'],
  ['histogram_quantile(0.9, rate(tool_execution_duration_seconds_bucket[5m])) > 300'],
  ['histogram_quantile(0.9, rate(tool_execution_duration_seconds_bucket[5m])) > 5m'],
])

testMessages(t, {
  '(http_requests_total unless http_requests_total) / 300':
    'the raw value of counter (http_requests_total unless http_requests_total) depends on when its process started: use rate or increase',
  'http_requests_total > 0':
    'the raw value of counter http_requests_total depends on when its process started: use rate or increase',
  'histogram_quantile(0.9, rate(http_request_duration_seconds_bucket[5m])) > 300':
    'a quantile never exceeds the largest bucket boundary, 10: 300 is out of reach',
  'histogram_quantile(0.9, rate(http_request_duration_seconds_bucket[5m])) > 3':
    '3 is not a bucket boundary, so the quantile is interpolated; boundaries: 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10',
})

t.test('names in a message are sorted, and at most twelve', async (t) => {
  t.equal(listOf(['b', 'a']), 'a, b')
  t.equal(listOf([]), 'none')
  t.equal(listOf('abcdefghijklmn'), 'a, b, c, d, e, f, g, h, i, j, k, l, …')
})

t.test('a counter without a rate is named in its message', async (t) => {
  t.match(describeBareCounter('jobs_total'), 'counter jobs_total')
})

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

testWrong(t, [
  ['grouping', 'system_cpu_percent * on (pod) group_left app_info'],
  ['grouping', 'system_cpu_percent * on (instance) group_left (release) app_info'],
  ['matching', 'sum by (job) (db_up) / db_connections_max'],
  ['matching', 'db_up unless queue_up'],
])

testRight(t, [
  ['system_cpu_percent * on (instance) group_left (version) app_info'],
  ['app_info * on (instance) group_right (version) system_cpu_percent'],
  ['db_up == 0 and on (instance) system_cpu_percent > 90'],
  ['db_up / ignoring (pool) system_cpu_percent'],
])

testMessages(t, {
  'db_up and on (pool) up': 'on (pool): only one side has the label pool',
  'up and ignoring (queue) up': 'ignoring (queue): neither side has the label queue',
  'db_up * on (instance) group_left (release) app_info':
    'on (instance) group_left (release): the other side has no label release',
  'db_up unless queue_up': 'no series match: only one side has pool, queue',
})

testWrong(t, [
  ['metric', 'rate(http_request_total[5m])'],
  ['metric', 'http_request_duration_seconds'],
  ['metric', '{__name__="db_connection_max"}'],
  ['label', 'rate(http_requests_total{route="/api/run"}[5m])'],
  ['label', 'rate(http_request_duration_seconds_count{le="1.0"}[5m])'],
  ['label', 'job_endpoint:http_requests:rate5m{instance="backend:8001"}'],
  ['value', 'rate(queue_tasks_total{status="failure"}[5m])'],
  ['value', 'rate(celery_tasks_total{status="failed"}[5m])'],
  ['value', 'rate(tool_executions_total{status=~"failed|timed_out"}[5m])'],
  ['value', 'rate(tool_executions_total{status!="success"}[5m])'],
  ['value', 'rate(http_request_duration_seconds_bucket{le="3.0"}[5m])'],
  ['value', 'rate(http_request_duration_seconds_bucket{le="1"}[5m])'],
  ['value', 'rate(http_requests_total{status=~"(5.."}[5m])'],
])

testRight(t, [
  ['rate(tool_executions_total{tool_name="__overflow__",status="__overflow__"}[5m])'],
  ['sum by (task_name) (rate(celery_tasks_total{status="failure"}[10m]))'],
  ['rate(prometheus_notifications_errors_total{alertmanager="a"}[5m])'],
])

testMessages(t, {
  nothing: 'unknown metric nothing',
  'db_up{queue="a"}': 'db_up has no label queue; its labels: instance, job, pool',
  'rate(queue_tasks_total{status="failure"}[5m])':
    'queue_tasks_total{status="failure"} never matches; values of status: completed, failed',
  'rate(queue_tasks_total{status!~"failure"}[5m])':
    'queue_tasks_total{status!~"failure"} excludes nothing; values of status: completed, failed',
  'up{job=~"("}': 'up{job=~"("} is not a valid regular expression',
  'rate(http_request_duration_seconds_bucket{le="3.0"}[5m])':
    'http_request_duration_seconds_bucket{le="3.0"} never matches; values of le: ' +
    '+Inf, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0, 2.5, 5.0',
})

const ab = vector('gauge', [['a', new Set(['1', '2'])]])

t.test('a regular expression is anchored', async (t) => {
  t.equal(matches('500', '=~', '5'), false)
  t.equal(matches('500', '=~', '5..'), true)
  t.equal(matches('500', '!~', '5'), true)
  t.equal(matches('500', '!=', '500'), false)
})

t.test('a matcher narrows known values, and = names an unknown one', async (t) => {
  t.same(narrow(new Set(['1', '2']), { label: 'a', operator: '!=', value: '1' }), new Set(['2']))
  t.same(narrow(undefined, { label: 'a', operator: '=', value: '1' }), new Set(['1']))
  t.equal(narrow(undefined, { label: 'a', operator: '=~', value: '1' }), undefined)
})

t.test('a union has the labels of both, and is certain of those that both have', async (t) => {
  const both = union(ab, vector('counter', [['b', undefined]]))
  t.equal(both.kind, 'counter')
  t.same([...both.labels.keys()], ['a', 'b'])
  t.same(both.labels.get('a'), new Set(['1', '2', '']))
  t.equal(both.certain.size, 0)
})

t.test('label_replace writes the values that its source gives', async (t) => {
  const replaced = replaceLabel(ab, ['b', 'x$1', 'a', '(.*)'])
  t.same(replaced.labels.get('b'), new Set(['x1', 'x2']))
  t.ok(replaced.certain.has('b'))
  t.notOk(replaceLabel(ab, ['a', '', 'a', '.*']).labels.has('a'), 'an empty value removes the label')
  t.same(replaceLabel(ab, ['a', 'x', 'a', '1']).labels.get('a'), new Set(['x', '2']), 'others stay as they are')
})

t.test('labels are added and dropped without touching the shape before', async (t) => {
  t.same([...withLabel(ab, 'b', undefined).labels.keys()], ['a', 'b'])
  t.same([...keep(ab, () => false).labels.keys()], [])
  t.same([...ab.labels.keys()], ['a'])
})
