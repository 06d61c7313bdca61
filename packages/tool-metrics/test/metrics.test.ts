import t from 'tap'
import { definitions } from '../src/metrics.ts'
import { build } from './helpers.ts'

t.test('the names, labels, help and zeros of a registered tool', async (t) => {
  const app = await build(t)
  const { body } = await app.inject('/metrics')
  const text = body.split('\n').filter((line) => line.includes('tool_') && !line.includes('metrics_'))
  const buckets = [
    '0.01',
    '0.05',
    '0.1',
    '0.5',
    '1.0',
    '5.0',
    '10.0',
    '30.0',
    '60.0',
    '120.0',
    '300.0',
    '600.0',
    '1800.0',
    '+Inf',
  ]
  t.strictSame(text, [
    '# HELP tool_executions_total Tool executions by how they ended: completed, failed, timeout or cancelled.',
    '# TYPE tool_executions_total counter',
    'tool_executions_total{status="completed",tool_name="build_graph"} 0',
    'tool_executions_total{status="failed",tool_name="build_graph"} 0',
    'tool_executions_total{status="timeout",tool_name="build_graph"} 0',
    'tool_executions_total{status="cancelled",tool_name="build_graph"} 0',
    '# HELP tool_execution_duration_seconds Time that a tool ran, however it ended.',
    '# TYPE tool_execution_duration_seconds histogram',
    ...buckets.map((le) => `tool_execution_duration_seconds_bucket{tool_name="build_graph",le="${le}"} 0`),
    'tool_execution_duration_seconds_sum{tool_name="build_graph"} 0',
    'tool_execution_duration_seconds_count{tool_name="build_graph"} 0',
    '# HELP tool_executions_active Tools running now.',
    '# TYPE tool_executions_active gauge',
    'tool_executions_active{tool_name="build_graph"} 0',
    '# HELP tool_last_success_timestamp_seconds Seconds since the epoch at which a tool last completed; 0 before the first time.',
    '# TYPE tool_last_success_timestamp_seconds gauge',
    'tool_last_success_timestamp_seconds{tool_name="build_graph"} 0',
    '# HELP tool_rejections_total Requests for a tool that never became an execution: unknown_tool, invalid_input or overloaded.',
    '# TYPE tool_rejections_total counter',
    'tool_rejections_total{reason="unknown_tool"} 0',
    'tool_rejections_total{reason="invalid_input"} 0',
    'tool_rejections_total{reason="overloaded"} 0',
  ])
})

t.test('the last success in a cluster is that of the process that succeeded last', async (t) => {
  t.equal(definitions.lastSuccess.aggregator, 'max')
})
