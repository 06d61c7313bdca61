/**
 * The queue: BullMQ on Redis where `REDIS_URL` is set, else on the database. It holds of each run its id only and forgets those
 * that have ended; what a run is stands in the {@link RunStore}.
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
import { DATABASE_TIMEOUTS } from '../database.ts'
import type { OpenRun } from './store.ts'

/** The queue of the runs. */
export interface RunQueue {
  /** BullMQ's queue, to be watched; the caller listens to its `error`. */
  readonly queue: Queue
  /** Where the queue is, for a message: the variable that says so. */
  readonly place: 'REDIS_URL' | 'DATABASE_URL'
  /** Rejects where the broker does not answer within two seconds. */
  check(): Promise<void>
  /** Puts runs into the queue; one that is in it already stays as it is. Rejects where the broker does not answer. */
  add(runs: Array<Pick<OpenRun, 'id' | 'tool' | 'attemptsLeft'>>): Promise<void>
  /** Which of these runs are not in the queue. Rejects where the broker does not answer. */
  findMissing(ids: string[]): Promise<Set<string>>
  /** Makes a worker that is not running yet; the caller listens to its `error`, and closes it before the queue. */
  createWorker(processor: Processor): Worker
  close(): Promise<void>
}

/** Answers of the broker are waited for as long. */
const ANSWER_TIMEOUT_MS = 2000
const CLOSE_TIMEOUT_MS = 500
/** On PostgreSQL, one query for each run that is asked for. */
const FIND_TIMEOUT_MS = 4000
/** Time between two attempts to reach the broker, at most. */
const RECONNECT_MS = 1000

/** On PostgreSQL, attempts to connect at the start. */
const CONNECT_ATTEMPTS = 5

/**
 * Connects to the queue; on PostgreSQL with its schema up to date. A Redis that is down is connected to when it comes back.
 * BullMQ keeps the first failure of a connection to PostgreSQL for good, so the database has to be up; rejects where it is not.
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
    // Who adds a run is told that Redis is down and does not wait until it is back.
    const connection = { ...redisOptions(redisUrl), enableOfflineQueue: false }
    return withErrorListener(new Queue(name, { connection } as QueueOptions))
  }

  /** On a machine that has much to do, a connection can take longer than is waited for. */
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
    await answered(queue.isPaused(), 'a question')
  }

  async function close(): Promise<void> {
    // BullMQ waits for a Redis that is down to say good-bye.
    await answered(queue.close(), 'closing', CLOSE_TIMEOUT_MS).catch(() => {
      queue.disconnect().catch(() => {})
    })
  }

  async function add(runs: Parameters<RunQueue['add']>[0]): Promise<void> {
    const jobs = runs.map(({ id, tool, attemptsLeft }) => ({
      name: tool,
      data: {},
      // A job is known by its id: a second one is not added.
      opts: { ...jobOptions, jobId: id, attempts: attemptsLeft },
    }))
    await answered(queue.addBulk(jobs), 'adding')
  }

  async function findMissing(ids: string[]): Promise<Set<string>> {
    const states = await answered(Promise.all(ids.map((id) => queue.getJobState(id))), 'a question', FIND_TIMEOUT_MS)
    return new Set(ids.filter((_, index) => states[index] === 'unknown'))
  }

  function createWorker(processor: Processor): Worker {
    const options = {
      autorun: false,
      concurrency: config.WORKER_CONCURRENCY,
      lockDuration: config.WORKER_LOCK_MS,
      stalledInterval: config.WORKER_LOCK_MS / 2,
      // How often a run may lose its process is for the store to say, which does not forget.
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
    return { connectionString: databaseUrl, migrate: true, max, ...DATABASE_TIMEOUTS }
  }
}

/** Without a listener an error would end the process. */
function withErrorListener(queue: Queue): Queue {
  return queue.on('error', () => {})
}

function redisOptions(url: string) {
  return {
    url,
    // A worker waits for Redis to come back, however long that takes.
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
