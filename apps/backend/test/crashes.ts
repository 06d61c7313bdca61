/** What has to hold when processes, brokers and databases are killed: for the test once, for the soak again and again. */
import { startPostgres, startRedis } from '@data20/dev-services'
import type { Test } from 'tap'
import { SERVER, sleep, start, temporaryFolder, until, WORKER, writeDocuments } from './helpers.ts'

export interface CrashOptions {
  rounds: number
  /** Queued runs of each round. */
  runs: number
}

/** Documents and tools that make a run take some tens of milliseconds, so that runs wait while others run. */
const TOOLS = [
  { tool: 'find_duplicates' },
  { tool: 'search', params: { query: 'word1 word2' } },
  { tool: 'extract_keywords' },
  { tool: 'build_graph' },
]
const TIMEOUT_MS = 120_000
const LOAD = { WORKER_LOCK_MS: '1000', RECONCILE_MS: '500', LOG_LEVEL: 'fatal' }

/** Kills each thing that can be killed, on one backend of the queue. Every run that was answered 202 has to complete. */
export async function killEverything(
  t: Test,
  broker: 'PostgreSQL' | 'Redis',
  { rounds, runs }: CrashOptions,
): Promise<void> {
  const documents = writeDocuments(t, 2)
  const redis = broker === 'Redis' ? await startRedis({ appendOnly: true }) : undefined
  t.teardown(() => redis?.stop())
  const base = { ...LOAD, DOCS_DIR: documents, PORT: '0', ...(redis && { REDIS_URL: redis.url }) }

  await t.test('the backend is killed, and its PostgreSQL left behind', async (t) => {
    const folder = temporaryFolder(t, 'backend')
    const env = { ...base, QUEUE_NAME: 'backend' }
    let backend = start(t, SERVER, env, folder)
    for (let round = 1; round <= rounds; round += 1) {
      const ids = await accept(await backend.url(), runs)
      const open = await countOpen(await backend.url())
      await backend.end('SIGKILL')
      const began = Date.now()
      backend = start(t, SERVER, env, folder)
      const attempts = await untilCompleted(await backend.url(), ids)
      t.equal(ids.length, runs, `${runs} runs were answered 202`)
      t.ok(open.queued > 0 && open.running > 0, `${open.queued} waited and ${open.running} ran when it was killed`)
      tell(t, 'backend killed', round, ids, attempts, began)
    }
    t.equal(await backend.end('SIGTERM'), 0, backend.output.stderr)
  })

  await t.test('things are killed around a backend that goes on', async (t) => {
    const postgres = await startPostgres({ directory: temporaryFolder(t, 'postgres') })
    t.teardown(() => postgres.stop())
    const env = { ...base, DATABASE_URL: postgres.url, QUEUE_NAME: 'around' }
    const backend = start(t, SERVER, { ...env, WORKERS: '0' })
    const url = await backend.url()
    const monitor = watch(url)
    const startWorker = () => start(t, WORKER, { ...env, METRICS_PORT: '8002' })
    let doomed = startWorker()
    const survivor = startWorker()
    const survivorMonitor = watch(await survivor.url())
    await doomed.url()

    for (let round = 1; round <= rounds; round += 1) {
      const ids = await accept(url, runs)
      const open = await countOpen(url)
      await doomed.end('SIGKILL')
      const began = Date.now()
      const attempts = await untilCompleted(url, ids)
      t.ok(open.queued > 0 && open.running > 0, `${open.queued} waited and ${open.running} ran when it was killed`)
      tell(t, 'worker killed', round, ids, attempts, began)
      doomed = startWorker()
      await doomed.url()
    }

    for (let round = 1; redis && round <= rounds; round += 1) {
      const ids = await accept(url, runs)
      const open = await countOpen(url)
      await redis.kill()
      const began = Date.now()
      // The promise does not need Redis.
      ids.push(...(await accept(url, 5)))
      await monitor.until('queue_up{queue="around"}', 0)
      await redis.restart()
      const attempts = await untilCompleted(url, ids)
      t.equal(ids.length, runs + 5)
      t.ok(open.queued > 0, `${open.queued} waited when it was killed`)
      await monitor.until('queue_up{queue="around"}', 1)
      tell(t, 'Redis killed', round, ids, attempts, began)
    }

    for (let round = 1; round <= rounds; round += 1) {
      const ids = await accept(url, runs)
      const open = await countOpen(url)
      await postgres.kill()
      const began = Date.now()
      const refused = await fetch(`${url}/api/run`, post({ tool: 'build_graph', mode: 'queued' }))
      await monitor.until('db_up{pool="default"}', 0)
      if (!redis) await monitor.until('queue_up{queue="around"}', 0)
      await postgres.restart()
      const attempts = await untilCompleted(url, ids)
      t.equal(refused.status, 503, 'no promise is made without a database')
      t.ok(open.queued > 0, `${open.queued} waited when it was killed`)
      await monitor.until('db_up{pool="default"}', 1)
      await monitor.until('queue_up{queue="around"}', 1)
      tell(t, 'PostgreSQL killed', round, ids, attempts, began)
    }

    for (const [name, { stop }] of Object.entries({ backend: monitor, worker: survivorMonitor })) {
      const { scrapes, slowestMs, decreases } = await stop()
      t.ok(scrapes > 10 * rounds, `the ${name} was scraped ${scrapes} times`)
      t.ok(slowestMs < 2000, `its slowest /metrics took ${slowestMs} ms`)
      t.strictSame(decreases, [], 'no counter went down')
    }
    for (const process of [doomed, survivor, backend]) t.equal(await process.end('SIGTERM'), 0, process.output.stderr)
  })

  function tell(t: Test, what: string, round: number, ids: string[], attempts: number, began: number): void {
    const seconds = ((Date.now() - began) / 1000).toFixed(1)
    const line = `${broker}, ${what}, round ${round} of ${rounds}: ${ids.length} runs completed in ${attempts} attempts, ${seconds} s after`
    t.pass(line)
  }
}

/** Has runs queued, ten at a time; resolves to those that were answered 202. */
async function accept(url: string, count: number): Promise<string[]> {
  const ids: string[] = []
  let next = 0
  async function poster(): Promise<void> {
    while (next < count) {
      const body = { ...TOOLS[next++ % TOOLS.length], mode: 'queued' }
      const response = await fetch(`${url}/api/run`, post(body))
      const answer = (await response.json()) as { run_id: string }
      if (response.status === 202) ids.push(answer.run_id)
    }
  }
  await Promise.all(Array.from({ length: 10 }, poster))
  return ids
}

function post(body: object): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

/** How many runs wait and run, 100 of each at most: at a moment when there are both, or none waits any more. */
async function countOpen(url: string): Promise<{ queued: number; running: number }> {
  return await until('runs to wait and to run', async () => {
    const [queued, running] = await Promise.all([count('queued'), count('running')])
    return (queued === 0 || running > 0) && { queued, running }
  })

  async function count(status: string): Promise<number> {
    const response = await fetch(`${url}/api/runs?status=${status}&limit=100`)
    return ((await response.json()) as { runs: unknown[] }).runs.length
  }
}

/** Resolves to the number of attempts when all have completed; throws for one that ended in another way or is not known. */
async function untilCompleted(url: string, ids: string[]): Promise<number> {
  const open = new Set(ids)
  let attempts = 0
  await until(
    `${ids.length} runs to complete`,
    async () => {
      for (const id of open) {
        const response = await fetch(`${url}/api/runs/${id}`)
        // A database that has just come back.
        if (response.status === 503) return false
        const run = (await response.json()) as { status: string; attempts: number; result?: unknown }
        if (run.status === 'queued' || run.status === 'running') return false
        if (run.status !== 'completed' || !run.result) throw new Error(`expected a result, got ${JSON.stringify(run)}`)
        attempts += run.attempts
        open.delete(id)
      }
      return true
    },
    TIMEOUT_MS,
  )
  return attempts
}

interface Monitor {
  /** Resolves when a scrape shows this value. */
  until(series: string, value: number): Promise<void>
  stop(): Promise<{ scrapes: number; slowestMs: number; decreases: string[] }>
}

/**
 * Scrapes a process five times a second. A scrape takes what it takes beyond a request that does nothing: on a machine that is busy
 * with other things every answer is late.
 */
function watch(url: string): Monitor {
  const result = { scrapes: 0, slowestMs: 0, decreases: [] as string[] }
  const values = new Map<string, number>()
  let isStopped = false
  const watching = scrapeOn()

  return {
    async until(series, value) {
      const { scrapes } = result
      await until(`${series} to be ${value}`, () => result.scrapes > scrapes && values.get(series) === value)
    },
    async stop() {
      isStopped = true
      await watching
      return result
    },
  }

  async function scrapeOn(): Promise<void> {
    while (!isStopped) {
      const metrics = await get('/metrics')
      result.slowestMs = Math.max(result.slowestMs, Math.round(metrics.ms))
      result.scrapes += 1
      read(metrics.body)
      await sleep(200)
    }
  }

  async function get(path: string): Promise<{ ms: number; body: string }> {
    const began = performance.now()
    const body = await (await fetch(url + path)).text()
    return { ms: performance.now() - began, body }
  }

  function read(exposition: string): void {
    for (const line of exposition.split('\n')) {
      const end = line.lastIndexOf(' ')
      if (line.startsWith('#') || end === -1) continue
      const series = line.slice(0, end)
      const value = Number(line.slice(end + 1))
      const isCounter = /^\w+_(total|count|bucket|sum)(\{|$)/.test(series)
      if (isCounter && value < (values.get(series) ?? 0)) {
        result.decreases.push(`${series}: ${values.get(series)}, then ${value}`)
      }
      values.set(series, value)
    }
  }
}
