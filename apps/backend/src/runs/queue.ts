/**
 * The queue: BullMQ on Redis when `REDIS_URL` is set, else on the database. A job holds the id of its run only and is
 * removed when the run has ended; the {@link RunStore} is the source of truth.
 *
 * @module
 */
import {
  createPostgresBackend,
  type JobsOptions,
  type Processor,
  Queue,
  type QueueOptions,
  Worker,
  type WorkerOptions,
} from 'bullmq'
import type { Config } from '../config.ts'
import { DATABASE_TIMEOUTS, PatientClient } from '../database.ts'
import type { OpenRun } from './run.ts'

/** The queue of the runs. */
export interface RunQueue {
  /** The queue of BullMQ, for its metrics. */
  readonly queue: Queue
  /** Environment variable naming the broker, for log messages. */
  readonly place: 'REDIS_URL' | 'DATABASE_URL'
  /** Rejects when the broker does not answer within two seconds. */
  check(): Promise<void>
  /** Adds runs to the queue; idempotent. Rejects when the broker does not answer. */
  add(runs: Array<Pick<OpenRun, 'id' | 'tool' | 'attemptsLeft'>>): Promise<void>
  /** Resolves to the runs that are not in the queue. Rejects when the broker does not answer. */
  findMissing(ids: string[]): Promise<Set<string>>
  /** Makes a worker that does not run yet. The caller listens to its `error` event, and closes it before the queue. */
  createWorker(processor: Processor): Worker
  close(): Promise<void>
}

/** Time limit of an answer of the broker. */
const ANSWER_TIMEOUT_MS = 2000
const CLOSE_TIMEOUT_MS = 500
/** On PostgreSQL, this is one query for each run. */
const FIND_TIMEOUT_MS = 4000
/** Maximum time between two attempts to reach the broker. */
const RECONNECT_MS = 1000

/** On PostgreSQL, the number of attempts to connect at the start. */
const CONNECT_ATTEMPTS = 5

/**
 * Connects to the queue, and on PostgreSQL brings its schema up to date. Redis may be down: the connection is made when
 * it comes back. PostgreSQL has to be up, since BullMQ memoizes the first failure of a connection; rejects when it is
 * not.
 */
export async function openRunQueue(config: Config, databaseUrl: string): Promise<RunQueue> {
  const { QUEUE_NAME: name, REDIS_URL: redisUrl } = config
  const isRedis = redisUrl !== ''

  const queue = isRedis ? createRedisQueue() : await connectPostgresQueue()

  const jobOptions: JobsOptions = {
    backoff: { type: 'exponential', delay: config.QUEUE_BACKOFF_MS },
    removeOnComplete: true,
    removeOnFail: true,
  }

  return {
    queue,
    place: isRedis ? 'REDIS_URL' : 'DATABASE_URL',
    check,
    add,
    findMissing,
    createWorker,
    close,
  }

  function createRedisQueue(): Queue {
    // While Redis is down, adding fails at once instead of waiting for it to come back.
    const connection = { ...redisOptions(redisUrl), enableOfflineQueue: false }
    return withErrorListener(new Queue(name, { connection } as QueueOptions))
  }

  /** On a busy machine a connection can take longer than its timeout. */
  async function connectPostgresQueue(attemptsLeft = CONNECT_ATTEMPTS): Promise<Queue> {
    const queue = withErrorListener(
      new Queue(name, { connection: postgresOptions(2) } as QueueOptions, createPostgresBackend as never),
    )
    try {
      await queue.waitUntilReady()
      return queue
    } catch (error) {
      await queue.close().catch(() => {})
      if (attemptsLeft === 1) throw error
      return await connectPostgresQueue(attemptsLeft - 1)
    }
  }

  async function check(): Promise<void> {
    await answered(queue.isPaused(), 'a query')
  }

  async function close(): Promise<void> {
    // BullMQ waits for a Redis that is down to confirm.
    await answered(queue.close(), 'closing', CLOSE_TIMEOUT_MS).catch(() => {
      queue.disconnect().catch(() => {})
    })
  }

  async function add(runs: Parameters<RunQueue['add']>[0]): Promise<void> {
    const jobs = runs.map(({ id, tool, attemptsLeft }) => ({
      name: tool,
      data: {},
      // BullMQ identifies a job by its id and adds no second one.
      opts: { ...jobOptions, jobId: id, attempts: attemptsLeft },
    }))
    await answered(queue.addBulk(jobs), 'adding')
  }

  async function findMissing(ids: string[]): Promise<Set<string>> {
    const states = await answered(Promise.all(ids.map((id) => queue.getJobState(id))), 'a query', FIND_TIMEOUT_MS)
    return new Set(ids.filter((_, index) => states[index] === 'unknown'))
  }

  function createWorker(processor: Processor): Worker {
    const options = {
      autorun: false,
      concurrency: config.WORKER_CONCURRENCY,
      lockDuration: config.WORKER_LOCK_MS,
      stalledInterval: config.WORKER_LOCK_MS / 2,
      // The store counts how often a run lost its process; the count of BullMQ does not survive the loss of the queue.
      maxStalledCount: 1_000_000,
      runRetryDelay: RECONNECT_MS,
    }
    if (isRedis) {
      return new Worker(name, processor, { ...options, connection: redisOptions(redisUrl) } as WorkerOptions)
    }
    const connection = postgresOptions(config.WORKER_CONCURRENCY + 2)
    return new Worker(name, processor, { ...options, connection } as WorkerOptions, createPostgresBackend as never)
  }

  function postgresOptions(max: number) {
    return { connectionString: databaseUrl, migrate: true, max, Client: PatientClient, ...DATABASE_TIMEOUTS }
  }
}

/** Adds a listener, without which an error would end the process. */
function withErrorListener(queue: Queue): Queue {
  return queue.on('error', () => {})
}

function redisOptions(url: string) {
  return {
    url,
    // A worker waits for Redis to come back, without a limit.
    maxRetriesPerRequest: null,
    retryStrategy: (times: number) => Math.min(times * 100, RECONNECT_MS),
  }
}

async function answered<Value>(answer: Promise<Value>, what: string, timeoutMs = ANSWER_TIMEOUT_MS): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const error = new Error(`The queue did not answer ${what} within ${timeoutMs} ms`)
    timer = setTimeout(reject, timeoutMs, error)
  })
  return await Promise.race([answer, late]).finally(() => clearTimeout(timer))
}
