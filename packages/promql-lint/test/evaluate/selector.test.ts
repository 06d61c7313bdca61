import t from 'tap'
import { testMessages, testRight, testWrong } from '../helpers.ts'

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
