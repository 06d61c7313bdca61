/**
 * What queue-metrics measures. Names and labels are public API.
 *
 * The first group is counted by the process that runs the jobs: the sum over processes is right. The second is read
 * from the broker and the same in every process: `max by (queue)`, never `sum`.
 *
 * @module
 */
import type { LabelValues } from '@data20/metrics-core/plugin'

/** How a task can end for good. */
export const OUTCOMES = ['completed', 'failed'] as const

/** The states of BullMQ's jobs. A paused queue's jobs are `waiting`. */
export const STATES = [
  'waiting',
  'prioritized',
  'active',
  'delayed',
  'failed',
  'completed',
  'waiting-children',
] as const

export const definitions = {
  tasks: {
    type: 'counter',
    name: 'queue_tasks_total',
    help: 'Tasks that this process ended for good: completed, or failed with no attempt left.',
    labelNames: ['queue', 'status', 'task_name'],
  },
  retries: {
    type: 'counter',
    name: 'queue_task_retries_total',
    help: 'Attempts that failed in this process and will be tried again.',
    labelNames: ['queue', 'task_name'],
  },
  errors: {
    type: 'counter',
    name: 'queue_task_errors_total',
    help: 'Attempts that failed in this process, by the class of the error. Their sum is that of retries and failed tasks.',
    labelNames: ['queue', 'task_name', 'error'],
  },
  added: {
    type: 'counter',
    name: 'queue_tasks_added_total',
    help: 'Tasks that this process added to the queue, those included that the broker merged with an existing one.',
    labelNames: ['queue', 'task_name'],
  },
  duration: {
    type: 'histogram',
    name: 'queue_task_duration_seconds',
    help: 'Time that this process worked on an attempt, however it ended.',
    labelNames: ['queue', 'task_name'],
    unit: 'seconds',
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800],
  },
  wait: {
    type: 'histogram',
    name: 'queue_task_wait_seconds',
    help: 'Time from when a task was due to when its first attempt started; a delay that was asked for is left out.',
    labelNames: ['queue', 'task_name'],
    unit: 'seconds',
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800],
  },
  active: {
    type: 'gauge',
    name: 'queue_tasks_active',
    help: 'Tasks that this process is running now.',
    labelNames: ['queue', 'task_name'],
    isState: true,
    aggregator: 'sum',
  },
  stalled: {
    type: 'counter',
    name: 'queue_tasks_stalled_total',
    help: 'Tasks whose worker was lost, found by this process and put back into the queue.',
    labelNames: ['queue'],
  },
  workerConcurrency: {
    type: 'gauge',
    name: 'queue_worker_concurrency',
    help: 'Tasks that the workers of this process may run at once.',
    labelNames: ['queue'],
    aggregator: 'sum',
  },
  workerPaused: {
    type: 'gauge',
    name: 'queue_worker_paused',
    help: 'Workers of this process that are paused locally; queue_paused tells of the whole queue.',
    labelNames: ['queue'],
    aggregator: 'sum',
  },
  length: {
    type: 'gauge',
    name: 'queue_length',
    help: 'Jobs ready to run and not yet taken, those with a priority included. The same in every process: take the maximum, not the sum.',
    labelNames: ['queue'],
    aggregator: 'max',
    isShared: true,
  },
  jobs: {
    type: 'gauge',
    name: 'queue_jobs',
    help: 'Jobs in the queue by state. The same in every process: take the maximum, not the sum.',
    labelNames: ['queue', 'state'],
    aggregator: 'max',
    isShared: true,
  },
  oldestWaiting: {
    type: 'gauge',
    name: 'queue_oldest_waiting_seconds',
    help: 'Time that the oldest job that could run now has been due, whatever its priority; 0 when none waits.',
    labelNames: ['queue'],
    unit: 'seconds',
    aggregator: 'max',
    isShared: true,
  },
  workers: {
    type: 'gauge',
    name: 'queue_workers',
    help: 'Workers connected to the queue, in all processes. The same in every process: take the maximum, not the sum.',
    labelNames: ['queue'],
    aggregator: 'max',
    isShared: true,
  },
  paused: {
    type: 'gauge',
    name: 'queue_paused',
    help: 'Whether the queue is paused for all workers.',
    labelNames: ['queue'],
    aggregator: 'max',
    isShared: true,
  },
  up: {
    type: 'gauge',
    name: 'queue_up',
    help: 'Whether the broker answered in time; when it did not, the other values of the queue are the last known ones.',
    labelNames: ['queue'],
    aggregator: 'min',
    isShared: true,
  },
} as const

/** The values of labels that have a fixed set of them. */
export const labelValues: LabelValues = { status: OUTCOMES, state: STATES }
