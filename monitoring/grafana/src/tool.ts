/**
 * Tools that the application runs on behalf of its callers.
 *
 * @module
 */
import type { Dashboard } from './dashboard.ts'
import { JOB, TARGET, WINDOW } from './panel.ts'

export const tool: Dashboard = {
  uid: 'tool',
  title: 'Tools',
  description: 'Executions of tools by how they ended, how long they took, and what was never executed.',
  metric: 'tool_executions_total',
  rows: [
    {
      title: 'Executions',
      panels: [
        {
          title: 'Executions by outcome',
          description: 'Tools that ended per second: completed, failed, timeout or cancelled.',
          unit: 'ops',
          isStacked: true,
          queries: [
            { expression: `sum by (status) (rate(tool_executions_total{${TARGET}}${WINDOW}))`, legend: '{{status}}' },
          ],
        },
        {
          title: 'Executions by tool',
          description: 'Tools that ended per second, by tool and outcome.',
          unit: 'ops',
          queries: [
            {
              expression: `sum by (tool_name, status) (rate(tool_executions_total{${TARGET}}${WINDOW}))`,
              legend: '{{tool_name}} {{status}}',
            },
          ],
        },
        {
          title: 'Running now',
          description: 'Tools that run now. A level that stays up is a tool that does not end.',
          unit: 'none',
          isStacked: true,
          queries: [{ expression: `sum by (tool_name) (tool_executions_active{${TARGET}})`, legend: '{{tool_name}}' }],
        },
      ],
    },
    {
      title: 'Failures',
      panels: [
        {
          title: 'Failures by tool',
          description: 'Share of executions that failed or took too long, over 10 minutes, as the alert sees it.',
          unit: 'percentunit',
          threshold: 0.2,
          alert: 'ToolFailureRateHigh',
          queries: [
            {
              expression: `job_tool_name:tool_failures_per_execution:ratio_rate10m{${JOB}}`,
              legend: '{{job}} {{tool_name}}',
            },
          ],
        },
        {
          title: 'Never executed',
          description:
            'Requests per second for a tool that is not there, with input that is not valid, or beyond the limit.',
          unit: 'reqps',
          queries: [
            { expression: `sum by (reason) (rate(tool_rejections_total{${TARGET}}${WINDOW}))`, legend: '{{reason}}' },
          ],
        },
        {
          kind: 'table',
          title: 'Time since the last success',
          description: 'A tool that is not listed has not completed since its process began.',
          unit: 's',
          queries: [
            {
              expression: `time() - max by (tool_name) (tool_last_success_timestamp_seconds{${TARGET}} > 0)`,
              legend: '{{tool_name}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Duration',
      panels: [
        {
          title: 'P90 by tool',
          description: 'Nine of ten executions took less than this, over 30 minutes, as the alert sees it.',
          unit: 's',
          threshold: 300,
          alert: 'SlowToolExecution',
          queries: [
            {
              expression: `job_tool_name:tool_execution_duration_seconds:p90_rate30m{${JOB}}`,
              legend: '{{job}} {{tool_name}}',
            },
          ],
        },
        {
          title: 'Mean by tool',
          description: 'All time that a tool ran, over the number of its executions.',
          unit: 's',
          queries: [
            {
              expression: `sum by (tool_name) (rate(tool_execution_duration_seconds_sum{${TARGET}}${WINDOW})) / sum by (tool_name) (rate(tool_execution_duration_seconds_count{${TARGET}}${WINDOW}))`,
              legend: '{{tool_name}}',
            },
          ],
        },
        {
          kind: 'table',
          title: 'Most used tools',
          description: 'The five tools with the most executions per second over the time shown.',
          unit: 'ops',
          queries: [
            {
              expression: `topk(5, sum by (tool_name) (rate(tool_executions_total{${TARGET}}[$__range])))`,
              legend: '{{tool_name}}',
            },
          ],
        },
      ],
    },
  ],
}
