/**
 * BullMQ queues. Counts of each process are summed; values that every process reads from the broker are not.
 *
 * @module
 */
import type { Dashboard } from './dashboard.ts'
import { JOB, TARGET, WINDOW } from './panel.ts'
import { oldestJob } from './shared.ts'

export const queue: Dashboard = {
  uid: 'queue',
  title: 'Queues',
  description: 'Do the workers keep up? Tasks that ended, how long they waited and ran, and the state of each queue.',
  metric: 'queue_up',
  rows: [
    {
      title: 'Backlog',
      panels: [
        oldestJob('{{job}} {{queue}}'),
        {
          title: 'Jobs ready to run',
          description: 'Jobs ready to run and not yet taken, those with a priority included.',
          unit: 'none',
          queries: [{ expression: `job_queue:queue_length:max{${JOB}}`, legend: '{{job}} {{queue}}' }],
        },
        {
          title: 'Jobs by state',
          description: 'All jobs that the broker keeps.',
          unit: 'none',
          queries: [{ expression: `max by (queue, state) (queue_jobs{${TARGET}})`, legend: '{{queue}} {{state}}' }],
        },
      ],
    },
    {
      title: 'Tasks',
      panels: [
        {
          title: 'Tasks by outcome',
          description: 'Tasks that ended for good per second: completed, or failed with no attempt left.',
          unit: 'ops',
          isStacked: true,
          queries: [
            {
              expression: `sum by (task_name, status) (rate(queue_tasks_total{${TARGET}}${WINDOW}))`,
              legend: '{{task_name}} {{status}}',
            },
          ],
        },
        {
          title: 'Tasks added',
          description: 'Tasks that were added per second, by the processes that add them.',
          unit: 'ops',
          queries: [
            {
              expression: `sum by (queue, task_name) (rate(queue_tasks_added_total{${TARGET}}${WINDOW}))`,
              legend: '{{queue}} {{task_name}}',
            },
          ],
        },
        {
          title: 'Errors by class',
          description: 'Attempts that failed per second, by the class of the error.',
          unit: 'ops',
          isStacked: true,
          queries: [
            {
              expression: `sum by (queue, error) (rate(queue_task_errors_total{${TARGET}}${WINDOW}))`,
              legend: '{{queue}} {{error}}',
            },
          ],
        },
        {
          title: 'Failures by task',
          description: 'Share of tasks that failed for good, over 10 minutes, as the alert sees it.',
          unit: 'percentunit',
          threshold: 0.1,
          alert: 'QueueTaskFailureRateHigh',
          queries: [
            {
              expression: `job_queue_task_name:queue_failures_per_task:ratio_rate10m{${JOB}}`,
              legend: '{{queue}} {{task_name}}',
            },
          ],
        },
        {
          title: 'Retries and stalled tasks',
          description: 'Per second: attempts that failed and are tried again, and tasks whose worker was lost.',
          unit: 'ops',
          alert: 'QueueStalledTasks',
          queries: [
            {
              expression: `sum by (queue, task_name) (rate(queue_task_retries_total{${TARGET}}${WINDOW}))`,
              legend: '{{queue}} {{task_name}} retries',
            },
            {
              expression: `sum by (queue) (rate(queue_tasks_stalled_total{${TARGET}}${WINDOW}))`,
              legend: '{{queue}} stalled',
            },
          ],
        },
      ],
    },
    {
      title: 'Time',
      panels: [
        {
          title: 'Wait of tasks',
          description: 'Nine of ten tasks began within this time after they were due.',
          unit: 's',
          queries: [
            {
              expression: `histogram_quantile(0.9, sum by (le, queue) (rate(queue_task_wait_seconds_bucket{${TARGET}}${WINDOW})))`,
              legend: '{{queue}}',
            },
          ],
        },
        {
          title: 'Duration of attempts',
          description: '95 of 100 attempts took less than this, however they ended.',
          unit: 's',
          queries: [
            {
              expression: `histogram_quantile(0.95, sum by (le, task_name) (rate(queue_task_duration_seconds_bucket{${TARGET}}${WINDOW})))`,
              legend: '{{task_name}}',
            },
          ],
        },
        {
          title: 'Tasks running',
          description: 'Tasks that run now, in all processes, and how many the workers may run at once.',
          unit: 'none',
          queries: [
            { expression: `sum by (queue) (queue_tasks_active{${TARGET}})`, legend: '{{queue}}' },
            { expression: `sum by (queue) (queue_worker_concurrency{${TARGET}})`, legend: '{{queue}} at most' },
          ],
        },
      ],
    },
    {
      title: 'Workers and broker',
      height: 5,
      panels: [
        {
          kind: 'stat',
          title: 'Workers',
          description: 'Workers connected to the queue, in all processes.',
          unit: 'none',
          threshold: 1,
          isLowBad: true,
          alert: 'QueueNoWorkers',
          queries: [{ expression: `job_queue:queue_workers:max{${JOB}}`, legend: '{{job}} {{queue}}' }],
        },
        {
          kind: 'stat',
          title: 'Broker answers',
          description:
            '1 where the broker answered in time; where it did not, the other values are the last known ones.',
          unit: 'none',
          threshold: 1,
          isLowBad: true,
          alert: 'QueueDown',
          queries: [{ expression: `min by (queue) (queue_up{${TARGET}})`, legend: '{{queue}}' }],
        },
        {
          kind: 'stat',
          title: 'Paused',
          description: '1 where the queue is paused for all workers.',
          unit: 'none',
          threshold: 1,
          queries: [{ expression: `max by (queue) (queue_paused{${TARGET}})`, legend: '{{queue}}' }],
        },
        {
          kind: 'stat',
          title: 'Workers paused',
          description: 'Workers that are paused in their process, while the queue is not.',
          unit: 'none',
          threshold: 1,
          queries: [{ expression: `sum by (queue) (queue_worker_paused{${TARGET}})`, legend: '{{queue}}' }],
        },
      ],
    },
  ],
}
