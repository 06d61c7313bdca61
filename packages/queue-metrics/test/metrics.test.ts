import t from 'tap'
import { build, closing, runOnEachBackend, test } from './helpers.ts'

/** Names, labels and help are public API: a change here is a change for everybody's dashboards. */
const EXPOSITION = `# HELP queue_tasks_total Tasks that this process ended for good: completed, or failed with no attempt left.
# TYPE queue_tasks_total counter
queue_tasks_total{queue="mail",status="completed",task_name="welcome"} 0
queue_tasks_total{queue="mail",status="failed",task_name="welcome"} 0
# HELP queue_task_retries_total Attempts that failed in this process and will be tried again.
# TYPE queue_task_retries_total counter
queue_task_retries_total{queue="mail",task_name="welcome"} 0
# HELP queue_task_errors_total Attempts that failed in this process, by the class of the error. Their sum is that of retries and failed tasks.
# TYPE queue_task_errors_total counter
# HELP queue_tasks_added_total Tasks that this process added to the queue, those included that the broker merged with an existing one.
# TYPE queue_tasks_added_total counter
queue_tasks_added_total{queue="mail",task_name="welcome"} 0
# HELP queue_task_duration_seconds Time that this process worked on an attempt, however it ended.
# TYPE queue_task_duration_seconds histogram
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="0.01"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="0.05"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="0.1"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="0.5"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="1.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="5.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="10.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="30.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="60.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="120.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="300.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="600.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="1800.0"} 0
queue_task_duration_seconds_bucket{queue="mail",task_name="welcome",le="+Inf"} 0
queue_task_duration_seconds_sum{queue="mail",task_name="welcome"} 0
queue_task_duration_seconds_count{queue="mail",task_name="welcome"} 0
# HELP queue_task_wait_seconds Time from when a task was due to when its first attempt started; a delay that was asked for is left out.
# TYPE queue_task_wait_seconds histogram
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="0.05"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="0.1"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="0.25"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="0.5"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="1.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="2.5"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="5.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="10.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="30.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="60.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="120.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="300.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="600.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="1800.0"} 0
queue_task_wait_seconds_bucket{queue="mail",task_name="welcome",le="+Inf"} 0
queue_task_wait_seconds_sum{queue="mail",task_name="welcome"} 0
queue_task_wait_seconds_count{queue="mail",task_name="welcome"} 0
# HELP queue_tasks_active Tasks that this process is running now.
# TYPE queue_tasks_active gauge
queue_tasks_active{queue="mail",task_name="welcome"} 0
# HELP queue_tasks_stalled_total Tasks whose worker was lost, found by this process and put back into the queue.
# TYPE queue_tasks_stalled_total counter
queue_tasks_stalled_total{queue="mail"} 0
# HELP queue_worker_concurrency Tasks that the workers of this process may run at once.
# TYPE queue_worker_concurrency gauge
queue_worker_concurrency{queue="mail"} 1
# HELP queue_worker_paused Workers of this process that are paused locally; queue_paused tells of the whole queue.
# TYPE queue_worker_paused gauge
queue_worker_paused{queue="mail"} 0
# HELP queue_length Jobs ready to run and not yet taken, those with a priority included. The same in every process: take the maximum, not the sum.
# TYPE queue_length gauge
queue_length{queue="mail"} 0
# HELP queue_jobs Jobs in the queue by state. The same in every process: take the maximum, not the sum.
# TYPE queue_jobs gauge
queue_jobs{queue="mail",state="waiting"} 0
queue_jobs{queue="mail",state="prioritized"} 0
queue_jobs{queue="mail",state="active"} 0
queue_jobs{queue="mail",state="delayed"} 0
queue_jobs{queue="mail",state="failed"} 0
queue_jobs{queue="mail",state="completed"} 0
queue_jobs{queue="mail",state="waiting-children"} 0
# HELP queue_oldest_waiting_seconds Time that the oldest job that could run now has been due, whatever its priority; 0 when none waits.
# TYPE queue_oldest_waiting_seconds gauge
queue_oldest_waiting_seconds{queue="mail"} 0
# HELP queue_workers Workers connected to the queue, in all processes. The same in every process: take the maximum, not the sum.
# TYPE queue_workers gauge
queue_workers{queue="mail"} 1
# HELP queue_paused Whether the queue is paused for all workers.
# TYPE queue_paused gauge
queue_paused{queue="mail"} 0
# HELP queue_up Whether the broker answered in time; when it did not, the other values of the queue are the last known ones.
# TYPE queue_up gauge
queue_up{queue="mail"} 1
`

test('metrics have the names, labels and help of the catalogue, and start at zero', async (t, { broker }) => {
  const queue = closing(t, broker.queue('mail'))
  const worker = closing(
    t,
    broker.worker('mail', async () => {}),
  )
  await worker.waitUntilReady()
  const app = await build(t, { queues: [queue], workers: [worker], taskNames: { mail: ['welcome'] } })

  const { body } = await app.inject('/metrics')

  t.equal(linesOfQueues(body), EXPOSITION)
})

function linesOfQueues(body: string): string {
  const lines = body.split('\n').filter((line) => /^(# \w+ )?queue_/.test(line))
  return `${lines.join('\n')}\n`
}

runOnEachBackend(t)
