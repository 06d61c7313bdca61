import t from 'tap'
import { createLookup, formatBoundary } from '../src/lookup.ts'
import { parseRules } from '../src/rule-file.ts'
import { lookup, metrics } from './helpers.ts'

t.test('a metric has its labels and those of its target', async (t) => {
  const shape = lookup('queue_length')!
  t.same([...shape.labels.keys()], ['queue', 'instance', 'job'])
  t.match(shape, { kind: 'gauge', isShared: true, isOpen: false })
  t.same([...lookup('queue_tasks_total')!.labels.get('status')!], ['completed', 'failed'])
})

t.test('the labels of the target can be others', async (t) => {
  const shape = createLookup(metrics, [], { targetLabels: ['pod'] })('db_up')!
  t.same([...shape.labels.keys()], ['pool', 'pod'])
})

t.test('a histogram has three names, none of them its own', async (t) => {
  t.equal(lookup('http_request_duration_seconds'), undefined)
  t.equal(lookup('http_request_duration_seconds_sum')!.kind, 'counter')
  t.equal(lookup('http_request_duration_seconds_count')!.labels.has('le'), false)
  const boundaries = [...lookup('http_request_duration_seconds_bucket')!.labels.get('le')!]
  t.same(boundaries.slice(-4), ['2.5', '5.0', '10.0', '+Inf'])
})

t.test('a recording rule has the labels of its expression and its own', async (t) => {
  const shape = lookup('celery_tasks_total')!
  t.equal(shape.kind, 'counter')
  t.same([...shape.labels.get('status')!], ['success', 'failure'])
  t.same([...lookup('job_pool:db_slow_queries:rate5m')!.labels.keys()].sort(), ['job', 'pool'])
})

t.test('a rule that reads itself ends', async (t) => {
  const rules = parseRules('a.yml', 'groups: [{ name: a, rules: [{ record: "a:b", expr: "a:b + 1" }] }]')
  t.match(createLookup([], rules)('a:b'), { kind: 'gauge' })
})

t.test('an unknown name is undefined', async (t) => {
  t.equal(lookup('nothing'), undefined)
})

t.test('a boundary is written as Go writes a float', async (t) => {
  const boundaries = [1, 2.5, 0.005, 1_000_000, 2_500_000, 100_000, 0.00001]
  t.same(boundaries.map(formatBoundary), ['1.0', '2.5', '0.005', '1e+06', '2.5e+06', '100000.0', '1e-05'])
})
