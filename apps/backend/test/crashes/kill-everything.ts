/**
 * Kills processes, brokers and databases: for the test once, for the soak again and again. Every run answered 202 has
 * to complete.
 */
import { type Service, startPostgres, startRedis } from '@data20/dev-services'
import type { Test } from 'tap'
import {
  type BackendProcess,
  type Environment,
  post,
  SERVER,
  start,
  temporaryFolder,
  WORKER_SERVER,
  writeDocuments,
} from '../helpers.ts'
import { accept, type Load, load, untilCompleted } from './load.ts'
import { type Monitor, watch } from './monitor.ts'

type BrokerName = 'PostgreSQL' | 'Redis'

export interface CrashOptions {
  rounds: number
  /** Queued runs of each round. */
  runs: number
}

const SETTINGS = { WORKER_LOCK_MS: '1000', RECONCILE_MS: '500', LOG_LEVEL: 'fatal', PORT: '0' }

/** No scrape waits longer. Collectors give up after 750 ms; the rest is for a busy machine. */
const MAX_SCRAPE_MS = 20_000

/** Kills each thing that can be killed, with the queue on one broker. */
export async function killEverything(t: Test, broker: BrokerName, options: CrashOptions): Promise<void> {
  const documents = writeDocuments(t, 2)
  const redis = broker === 'Redis' ? await startRedis({ appendOnly: true }) : undefined
  t.teardown(() => redis?.stop())
  const env = { ...SETTINGS, DOCS_DIR: documents, ...(redis && { REDIS_URL: redis.url }) }

  await t.test('the backend is killed, and its PostgreSQL left behind', async (t) => {
    await killBackend(t, { ...env, QUEUE_NAME: 'backend' }, options)
  })
  await t.test('things are killed around a backend that goes on', async (t) => {
    await killAround(t, { ...env, QUEUE_NAME: 'around' }, redis, options)
  })
}

async function killBackend(t: Test, env: Environment, { rounds, runs }: CrashOptions): Promise<void> {
  const folder = temporaryFolder(t, 'backend')
  let backend = start(t, SERVER, env, folder)
  for (let round = 1; round <= rounds; round += 1) {
    const begun = await load(await backend.url(), runs)
    await backend.end('SIGKILL')
    backend = start(t, SERVER, env, folder)
    await completes(t, `backend killed, round ${round}`, await backend.url(), begun)
    t.equal(begun.ids.length, begun.asked, 'every run was answered 202')
  }
  t.equal(await backend.end('SIGTERM'), 0, backend.output.stderr)
}

async function killAround(
  t: Test,
  sharedEnv: Environment,
  redis: Service | undefined,
  options: CrashOptions,
): Promise<void> {
  const postgres = await startPostgres({ directory: temporaryFolder(t, 'postgres') })
  t.teardown(() => postgres.stop())
  const env = { ...sharedEnv, DATABASE_URL: postgres.url }
  const backend = start(t, SERVER, { ...env, WORKERS: '0' })
  const url = await backend.url()
  const monitor = watch(url)
  const startWorker = () => start(t, WORKER_SERVER, { ...env, METRICS_PORT: '8002' })
  const survivor = startWorker()
  const survivorMonitor = watch(await survivor.url())
  t.teardown(() => Promise.allSettled([monitor.stop(), survivorMonitor.stop()]))

  const lastWorker = await killWorkers(t, url, startWorker, options)
  if (redis) await killRedis(t, url, redis, monitor, options)
  await killPostgres(t, url, postgres, monitor, redis === undefined, options)

  for (const [name, { stop }] of Object.entries({ backend: monitor, worker: survivorMonitor })) {
    const { scrapes, slowestMs, decreases } = await stop()
    t.ok(scrapes > 10 * options.rounds, `the ${name} was scraped ${scrapes} times`)
    t.ok(slowestMs < MAX_SCRAPE_MS, `its slowest /metrics took ${slowestMs} ms`)
    t.strictSame(decreases, [], 'no counter went down')
  }
  for (const process of [lastWorker, survivor, backend]) {
    t.equal(await process.end('SIGTERM'), 0, process.output.stderr)
  }
}

/** Resolves to the worker process that was started last. */
async function killWorkers(
  t: Test,
  url: string,
  startWorker: () => BackendProcess,
  { rounds, runs }: CrashOptions,
): Promise<BackendProcess> {
  let doomed = startWorker()
  await doomed.url()
  for (let round = 1; round <= rounds; round += 1) {
    const begun = await load(url, runs)
    await doomed.end('SIGKILL')
    await completes(t, `worker process killed, round ${round}`, url, begun)
    doomed = startWorker()
    await doomed.url()
  }
  return doomed
}

async function killRedis(
  t: Test,
  url: string,
  redis: Service,
  monitor: Monitor,
  { rounds, runs }: CrashOptions,
): Promise<void> {
  for (let round = 1; round <= rounds; round += 1) {
    const begun = await load(url, runs)
    await redis.kill()
    // The promise does not need Redis.
    begun.ids.push(...(await accept(url, 5)))
    await monitor.until('queue_up{queue="around"}', 0)
    await redis.restart()
    await completes(t, `Redis killed, round ${round}`, url, begun)
    t.equal(begun.ids.length, begun.asked + 5)
    await monitor.until('queue_up{queue="around"}', 1)
  }
}

async function killPostgres(
  t: Test,
  url: string,
  postgres: Service,
  monitor: Monitor,
  hasQueue: boolean,
  { rounds, runs }: CrashOptions,
): Promise<void> {
  for (let round = 1; round <= rounds; round += 1) {
    const begun = await load(url, runs)
    await postgres.kill()
    const refused = await fetch(`${url}/api/run`, post({ tool: 'build_graph', mode: 'queued' }))
    await monitor.until('db_up{pool="default"}', 0)
    if (hasQueue) await monitor.until('queue_up{queue="around"}', 0)
    await postgres.restart()
    await completes(t, `PostgreSQL killed, round ${round}`, url, begun)
    t.equal(refused.status, 503, 'no promise is made without a database')
    await monitor.until('db_up{pool="default"}', 1)
    await monitor.until('queue_up{queue="around"}', 1)
  }
}

/** Waits until every run of a round has completed, and reports the round. */
async function completes(t: Test, what: string, url: string, { ids, open }: Load): Promise<void> {
  const began = Date.now()
  const attempts = await untilCompleted(url, ids)
  const seconds = ((Date.now() - began) / 1000).toFixed(1)
  t.pass(`${what}: ${ids.length} runs completed in ${attempts} attempts, ${seconds} s after`)
  t.ok(open.queued > 0 && open.running > 0, `${open.queued} waited and ${open.running} executed when it was killed`)
}
