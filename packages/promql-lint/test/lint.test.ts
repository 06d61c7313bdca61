import { readFileSync } from 'node:fs'
import t from 'tap'
import { createLookup, formatFinding, lintSources, parseRules, sourceOfRule } from '../src/index.ts'
import { lint, type Purpose } from '../src/lint.ts'
import { formatBoundary } from '../src/lookup.ts'
import { RULES, type RuleName } from '../src/problem.ts'
import { alertWith, lookup, metrics, testRight, testWrong } from './helpers.ts'

testWrong(t, [
  ['counter', 'http_requests_total'],
  ['counter', 'queue_tasks_total', { record: 'job:queue_tasks:all' }],
  ['comparison', 'system_cpu_percent', alertWith('{{ $labels.instance }}')],
  ['annotation', 'sum by (job) (up) == 0', alertWith('{{ $labels.instance }} is down')],
  ['annotation', 'absent(up{job="backend"})', alertWith('{{ $labels.instance }} is down')],
  ['annotation', 'db_up == 0 or on() vector(1) > 0', alertWith('{{ $labels.pool }} is down')],
])

testRight(t, [
  ['queue_tasks_total', { record: 'celery_tasks_total' }],
  ['vector(1)', alertWith('always')],
  ['absent(up{job="backend"})', alertWith('{{ $labels.job }} is gone')],
  ['sum by (job) (up) == 0', alertWith('{{ $labels.job }} {{ $labels.severity }}')],
])

/** An expression that breaks each rule, and no other. */
const EXAMPLES: Record<RuleName, [expression: string, purpose?: Purpose]> = {
  syntax: ['up /'],
  metric: ['nothing'],
  label: ['up{pool="main"}'],
  value: ['rate(queue_tasks_total{status="failure"}[5m])'],
  grouping: ['sum by (pool) (up)'],
  matching: ['db_up / queue_up'],
  rate: ['rate(up[5m])'],
  counter: ['http_requests_total'],
  aggregation: ['sum(queue_length)'],
  quantile: ['histogram_quantile(0.9, up)'],
  threshold: ['histogram_quantile(0.9, rate(http_request_duration_seconds_bucket[5m])) > 11'],
  comparison: ['up', alertWith('down')],
  annotation: ['up == 0', alertWith('{{ $labels.pool }}')],
}

t.test('each rule has an expression that breaks it', async (t) => {
  t.same(Object.keys(EXAMPLES).sort(), Object.keys(RULES).sort())
  for (const [rule, [expression, purpose]] of Object.entries(EXAMPLES)) {
    const problems = lint(expression, lookup, purpose)
    t.same(
      problems.map((problem) => problem.rule),
      [rule],
      expression,
    )
  }
})

t.test('problems come in the order of the text, with their position', async (t) => {
  const problems = lint('rate(up[5m]) / nothing', lookup)
  t.same(
    problems.map(({ rule, from }) => [rule, from]),
    [
      ['rate', 5],
      ['metric', 15],
    ],
  )
})

t.test('an alert that compares nothing, or shows a label that is gone, is explained', async (t) => {
  t.same(
    lint('sum by (job) (up)', lookup, alertWith('{{ $labels.instance }}')).map(({ message }) => message),
    [
      'the alert Example compares nothing, so it fires for every series',
      'the annotation description uses the label instance; labels that the expression keeps: job',
    ],
  )
})

t.test('the README has a row for each rule', async (t) => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  t.same(
    [...readme.matchAll(/^\| `(\w+)` \| (?:`|an alert)/gm)].map(([, rule]) => rule),
    Object.keys(RULES),
  )
})

t.test('the example of the README finds the wrong value', async (t) => {
  const lookup = createLookup([
    { name: 'http_requests_total', type: 'counter', labels: ['status'], values: { status: ['2xx', '4xx', '5xx'] } },
  ])
  const text = `groups:
  - name: http
    rules:
      - alert: Failing
        expr: sum by (job) (rate(http_requests_total{status="500"}[5m])) > 1
`
  t.same(lintSources(parseRules('alerts.yml', text).map(sourceOfRule), lookup).map(formatFinding), [
    'alerts.yml:5: http_requests_total{status="500"} never matches; values of status: 2xx, 4xx, 5xx (value)\n' +
      '    sum by (job) (rate(http_requests_total{status="500"}[5m])) > 1',
  ])
})

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
