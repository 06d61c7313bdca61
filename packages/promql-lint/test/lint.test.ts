import t from 'tap'
import { lint, type Purpose } from '../src/lint.ts'
import { RULES, type RuleName } from '../src/problem.ts'
import { alertWith, lookup, testRight, testWrong } from './helpers.ts'

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
