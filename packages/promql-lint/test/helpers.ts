import type { Test } from 'tap'
import { lint, type Purpose } from '../src/lint.ts'
import { createLookup, type Metric } from '../src/lookup.ts'
import type { RuleName } from '../src/problem.ts'
import { parseRules } from '../src/rule-file.ts'
import type { Lookup } from '../src/shape.ts'

const LATENCIES = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const DURATIONS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800]
const CODES = ['200', '404', '500', '503', '2xx', '4xx', '5xx']

/** The metrics of a service with HTTP, a database, a queue and tools. */
const METRICS: readonly Metric[] = [
  { name: 'up', type: 'gauge' },
  { name: 'http_requests_total', type: 'counter', labels: ['endpoint', 'method', 'status'], values: { status: CODES } },
  {
    name: 'http_request_duration_seconds',
    type: 'histogram',
    labels: ['endpoint', 'method'],
    buckets: LATENCIES,
  },
  {
    name: 'tool_executions_total',
    type: 'counter',
    labels: ['status', 'tool_name'],
    values: { status: ['completed', 'failed', 'timeout', 'cancelled'] },
  },
  { name: 'tool_execution_duration_seconds', type: 'histogram', labels: ['tool_name'], buckets: DURATIONS },
  { name: 'db_up', type: 'gauge', labels: ['pool'] },
  { name: 'db_connections_active', type: 'gauge', labels: ['pool'] },
  { name: 'db_connections_max', type: 'gauge', labels: ['pool'] },
  { name: 'db_queries_total', type: 'counter', labels: ['operation', 'pool'] },
  { name: 'db_slow_queries_total', type: 'counter', labels: ['operation', 'pool'] },
  { name: 'queue_up', type: 'gauge', labels: ['queue'] },
  { name: 'queue_length', type: 'gauge', labels: ['queue'], isShared: true },
  {
    name: 'queue_tasks_total',
    type: 'counter',
    labels: ['queue', 'status', 'task_name'],
    values: { status: ['completed', 'failed'] },
  },
  { name: 'queue_task_duration_seconds', type: 'histogram', labels: ['queue', 'task_name'], buckets: DURATIONS },
  { name: 'system_cpu_percent', type: 'gauge' },
  { name: 'system_memory_percent', type: 'gauge' },
  { name: 'app_info', type: 'gauge', labels: ['name', 'node_version', 'version'] },
  { name: 'prometheus_notifications_errors_total', type: 'counter', isOpen: true },
]

const RULES = `groups:
  - name: example
    rules:
      - record: job_endpoint:http_requests:rate5m
        expr: sum by (job, endpoint) (rate(http_requests_total[5m]))
      - record: job_endpoint:http_request_duration_seconds:p95_rate5m
        expr: histogram_quantile(0.95, sum by (job, endpoint, le) (rate(http_request_duration_seconds_bucket[5m])))
      - record: job_pool:db_slow_queries:rate5m
        expr: sum by (job, pool) (rate(db_slow_queries_total[5m]))
      - record: celery_tasks_total
        expr: queue_tasks_total{status="completed"}
        labels: { status: success }
      - record: celery_tasks_total
        expr: queue_tasks_total{status="failed"}
        labels: { status: failure }
      - record: celery_task_duration_seconds_bucket
        expr: queue_task_duration_seconds_bucket
      - record: celery_queue_length
        expr: max by (queue) (queue_length)
`

export const metrics: readonly Metric[] = METRICS
export const lookup: Lookup = createLookup(METRICS, parseRules('rules.yml', RULES))

/** An expression and the one rule that it breaks. */
export type WrongCase = readonly [rule: RuleName, expression: string, purpose?: Purpose]

/** An expression that looks wrong and is right. */
export type RightCase = readonly [expression: string, purpose?: Purpose]

export function testWrong(t: Test, cases: readonly WrongCase[]): void {
  for (const [rule, expression, purpose] of cases) {
    t.test(`finds (${rule}): ${expression}`, async (t) => {
      t.same(
        lint(expression, lookup, purpose).map((problem) => problem.rule),
        [rule],
      )
    })
  }
}

export function testRight(t: Test, cases: readonly RightCase[]): void {
  for (const [expression, purpose] of cases) {
    t.test(`accepts: ${expression}`, async (t) => {
      t.same(lint(expression, lookup, purpose), [])
    })
  }
}

/** Compares the messages of expressions with those expected. */
export function testMessages(t: Test, cases: Readonly<Record<string, string>>): void {
  for (const [expression, message] of Object.entries(cases)) {
    t.test(`explains: ${expression}`, async (t) => {
      t.same(
        lint(expression, lookup).map((problem) => problem.message),
        [message],
      )
    })
  }
}

/** The purpose of an alert that adds the label `severity`. */
export function alertWith(description: string): Purpose {
  return { alert: { name: 'Example', labels: ['severity'], annotations: { description } } }
}
