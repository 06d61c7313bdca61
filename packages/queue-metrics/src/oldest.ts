/**
 * Finds when the job that has been ready to run for the longest time became due. No method of BullMQ answers that:
 * index 0 of a list is the job that runs next. This reads the storage, whose layout BullMQ shares with its ports to
 * other languages, through the handles that its backends expose.
 *
 * A job is due at its creation plus its delay, and not before its last attempt started. One that was started before
 * became ready later; on Redis the queue's events tell when.
 *
 * @module
 */

/** The backend of a queue on Redis. The client is the same for all drivers of BullMQ. */
interface RedisBackend {
  client: Promise<RedisClient>
  keys: Record<string, string>
}

interface RedisClient {
  defineCommand(name: string, command: { numberOfKeys: number; lua: string; readOnly: boolean }): void
  runCommand(name: string, args: readonly (string | number)[]): Promise<unknown>
}

/** The backend of a queue on PostgreSQL. */
export interface PostgresBackend {
  connection: {
    schema?: string
    pool: { query(text: string, values: readonly unknown[]): Promise<{ rows: Array<{ due_ms: number | null }> }> }
  }
}

/** The fields of a job's hash as strings; `null` for a missing one. */
type JobFields = [
  timestamp: string | null,
  opts: string | null,
  processedOn: string | null,
  attemptsMade: string | null,
  /** The id of its last event in the stream, milliseconds and a counter, as far as it was looked for and found. */
  readyEvent: string | null,
]

const COMMAND = 'data20OldestWaiting'
/** Jobs read of each list and priority. The first is the oldest, except for jobs that were pushed in front of it. */
const JOBS_PER_PRIORITY = 5
/** Jobs read in total. Redis is busy for half a millisecond with three priorities, for 7 ms at this limit. */
const MAX_JOBS = 250

/** Reads that time, in milliseconds since the epoch; `undefined` when no job could run now. */
export type OldestReader = () => Promise<number | undefined>

/** Events that are searched, the newest first, once for all jobs that were started before: about a millisecond. */
const MAX_EVENTS = 1000

/** Returns a function that reads that time; `undefined` for a backend whose storage is not known. */
export function createOldestReader(queue: { name: string; getBackend(): object }): OldestReader | undefined {
  const backend = queue.getBackend()
  if (isPostgres(backend)) return () => readPostgres(backend, queue.name)
  if (isRedis(backend)) return createRedisReader(backend)
  return undefined
}

export function isPostgres(backend: object): backend is PostgresBackend {
  return typeof (backend as Partial<PostgresBackend>).connection?.pool?.query === 'function'
}

function isRedis(backend: object): backend is RedisBackend {
  return 'client' in backend && 'keys' in backend
}

/**
 * Exact, in time proportional to the waiting jobs: rows are in order of creation, so a delayed job that becomes due is
 * ahead of older ones. `process_at_ms` is the end of the delay or of the backoff, and keeps its value afterwards.
 * BullMQ's own count reads every row of the queue.
 */
const OLDEST_SQL = `
SELECT LEAST(
  (SELECT min(GREATEST(added_at_ms, process_at_ms, processed_at_ms)) FROM job WHERE queue = $1 AND state = 'waiting'),
  (SELECT min(process_at_ms) FROM job WHERE queue = $1 AND state = 'delayed' AND process_at_ms <= $2)
)::float8 AS due_ms`

async function readPostgres({ connection }: PostgresBackend, queue: string): Promise<number | undefined> {
  const { rows } = await connection.pool.query(OLDEST_SQL, [queue, Date.now()])
  return rows[0]?.due_ms ?? undefined
}

/**
 * Within a priority, jobs are in the order in which they became ready, so the first ones of each priority are read, and
 * the last of the list, which is the oldest when all are last in, first out. It starts at the lowest priority: when
 * there are more priorities than the limit allows, the ones left out are those that run first. The first delayed job is
 * included, because a job that is due stays delayed until a worker asks for work.
 */
const OLDEST_LUA = `
local jobs, again, budget = {}, {}, tonumber(ARGV[3])
local function read(ids)
  for _, id in ipairs(ids) do
    local job = redis.call('HMGET', ARGV[1] .. id, 'timestamp', 'opts', 'processedOn', 'atm')
    local wasStarted = job[3] or job[4] or redis.call('HEXISTS', ARGV[1] .. id, 'ats') == 1
    if wasStarted or redis.call('HEXISTS', ARGV[1] .. id, 'stacktrace') == 1 then again[id] = job end
    jobs[#jobs + 1] = job
  end
  budget = budget - #ids
end
read(redis.call('LRANGE', KEYS[1], -tonumber(ARGV[2]), -1))
read(redis.call('LRANGE', KEYS[1], 0, 0))
-- A score is the priority times 2^32 plus a counter.
local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
while last[2] and budget > 0 do
  local first = math.floor(tonumber(last[2]) / 4294967296) * 4294967296
  read(redis.call('ZRANGEBYSCORE', KEYS[2], first, first + 4294967295, 'LIMIT', 0, ARGV[2]))
  last = redis.call('ZREVRANGEBYSCORE', KEYS[2], first - 1, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
end
if next(again) then
  for _, event in ipairs(redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', ARGV[4])) do
    local fields = {}
    for index = 1, #event[2], 2 do fields[event[2][index]] = event[2][index + 1] end
    local job = fields.event == 'waiting' and again[fields.jobId]
    if job then
      job[5] = event[1]
      again[fields.jobId] = nil
      if not next(again) then break end
    end
  end
end
return { jobs, redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES') }`

function createRedisReader({ client: connecting, keys }: RedisBackend): OldestReader {
  const { wait = '', prioritized = '', delayed = '', events = '', '': prefix = '' } = keys
  const args = [wait, prioritized, delayed, events, prefix, JOBS_PER_PRIORITY, MAX_JOBS, MAX_EVENTS]
  let isDefined = false

  return async () => {
    const client = await connecting
    if (!isDefined) client.defineCommand(COMMAND, { numberOfKeys: 4, lua: OLDEST_LUA, readOnly: true })
    isDefined = true
    const [jobs, [, score]] = (await client.runCommand(COMMAND, args)) as [JobFields[], [id?: string, score?: string]]

    let oldestMs = Number.POSITIVE_INFINITY
    for (const job of jobs) oldestMs = Math.min(oldestMs, dueMsOf(job))
    // The low 12 bits of a score order the jobs of one millisecond.
    const delayedMs = score === undefined ? Number.POSITIVE_INFINITY : Math.floor(Number(score) / 0x1000)
    if (delayedMs <= Date.now()) oldestMs = Math.min(oldestMs, delayedMs)
    return oldestMs === Number.POSITIVE_INFINITY ? undefined : oldestMs
  }
}

/**
 * The hash of a job does not have when it became ready again. Where its event was trimmed or is too far back, that is
 * estimated: the start of its last attempt plus the backoff.
 */
function dueMsOf([timestamp, optsJson, processedOn, attemptsMade, readyEvent]: JobFields): number {
  // A list can contain the id of a removed job.
  if (timestamp === null) return Number.POSITIVE_INFINITY
  if (readyEvent) return Number.parseInt(readyEvent, 10)
  const opts: { delay?: number; backoff?: Backoff } = JSON.parse(optsJson ?? '{}')
  const createdMs = Number(timestamp) + (opts.delay ?? 0)
  if (processedOn === null) return createdMs
  return Math.max(createdMs, Number(processedOn) + backoffMs(opts.backoff, Number(attemptsMade)))
}

interface Backoff {
  type: string
  delay?: number
  jitter?: number
}

/** Returns the shortest backoff of BullMQ's own strategies; 0 for a strategy of the application. */
function backoffMs(backoff: Backoff | undefined, attemptsMade: number): number {
  if (attemptsMade === 0 || (backoff?.type !== 'fixed' && backoff?.type !== 'exponential')) return 0
  const { type, delay = 0, jitter = 0 } = backoff
  return (type === 'fixed' ? delay : delay * 2 ** (attemptsMade - 1)) * (1 - jitter)
}
