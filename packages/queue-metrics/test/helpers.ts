import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ExpositionSample,
  readSamples,
  type Service,
  startPostgres,
  startRedis,
  temporaryFolder,
  until as untilNamed,
} from '@data20/dev-services'
import { metricsCore } from '@data20/metrics-core'
import { type FlowProducer, type Queue, UnrecoverableError, type Worker } from 'bullmq'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { type QueueMetricsOptions, queueMetrics } from '../src/index.ts'
import { type BackendName, connect, type Task } from './fixtures/backends.ts'

/** A process with one worker and its own `/metrics`. */
export interface WorkerProcess {
  child: ChildProcess
  scrape(): Promise<Exposition>
  /** Resolves once the process has started a task of that name. */
  hasStarted(task: string): Promise<void>
}

/** A broker, and what tests do with it. */
export interface Backend {
  broker: ReturnType<typeof connect>
  service: Service
  /** Returns a name that no other queue has. */
  nextQueue(): string
  startWorkerProcess(t: Test, queue: string, options?: object): Promise<WorkerProcess>
}

type Run = (t: Test, backend: Backend) => Promise<void>

const starters: Record<BackendName, (t: Test) => Promise<Service>> = {
  Redis: () => startRedis({ appendOnly: true }),
  PostgreSQL: (t) => startPostgres({ directory: temporaryFolder(t, 'queue-metrics') }),
}

const tests: Array<{ title: string; run: Run }> = []

/** Adds a test that {@link runOnEachBackend} runs. */
export function test(title: string, run: Run): void {
  tests.push({ title, run })
}

/** Runs the tests of a file on Redis and on PostgreSQL, side by side: they wait most of the time. */
export function runOnEachBackend(t: Test): void {
  t.jobs = 2
  for (const [name, start] of Object.entries(starters) as Array<[BackendName, (typeof starters)[BackendName]]>) {
    t.test(`on ${name}`, { timeout: 290_000, buffered: true }, async (t) => {
      const service = await start(t)
      t.teardown(() => service.stop())
      const backend = createBackend(name, service)
      for (const { title, run } of tests) await t.test(title, (t) => run(t, backend))
    })
  }
}

function createBackend(name: BackendName, service: Service): Backend {
  let queues = 0
  return {
    broker: connect(name, service.url),
    service,
    nextQueue: () => `queue-${++queues}`,
    startWorkerProcess,
  }

  /** Starts a process with one worker. */
  async function startWorkerProcess(t: Test, queue: string, options: object = {}): Promise<WorkerProcess> {
    const child = fork(new URL('./fixtures/worker-process.ts', import.meta.url), {
      // Without the loaders of the test runner.
      execArgv: ['--import=tsx'],
      env: {
        ...process.env,
        BACKEND: name,
        BROKER_URL: service.url,
        QUEUE: queue,
        WORKER_OPTIONS: JSON.stringify({ concurrency: 5, metrics: { maxDataPoints: 100 }, ...options }),
      },
    })
    t.teardown(() => end(child))
    const started = new Set<string>()
    let address = ''
    child.on('message', (message: { address?: string; started?: string }) => {
      if (message.address) address = message.address
      if (message.started) started.add(message.started)
    })
    await until(async () => address !== '')
    return {
      child,
      scrape: async () => new Exposition(await (await fetch(`${address}/metrics`)).text()),
      hasStarted: (task: string) => until(async () => started.has(task)),
    }
  }
}

/** Does what the data of a job says. */
export async function run({ data, attemptsMade }: { data: Task; attemptsMade: number }): Promise<void> {
  await sleep(data.runMs ?? 0)
  if (data.unrecoverable) throw new UnrecoverableError('asked to fail for good')
  if (attemptsMade < (data.failures ?? 0)) throw new Error('asked to fail')
}

/**
 * Builds an application. The deadline of its collectors holds on a slow machine; tests of a broker that is down shorten
 * it.
 */
export async function build(
  t: Test,
  options: QueueMetricsOptions = {},
  collectorTimeoutMs = 10_000,
): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(metricsCore, { collectorTimeoutMs })
  await app.register(queueMetrics, options)
  return app
}

export function closing<Closable extends Queue<Task> | Worker<Task> | FlowProducer>(
  t: Test,
  closable: Closable,
): Closable {
  t.teardown(() => closable.close())
  return closable
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.send('end')
  await exited
}

/** Resolves once a condition is true. Its source text names it. */
export async function until(isTrue: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  await untilNamed(String(isTrue), isTrue, timeoutMs)
}

/** The samples of one `/metrics`. */
export class Exposition {
  readonly #samples: ExpositionSample[]

  constructor(text: string) {
    this.#samples = readSamples(text)
  }

  has(name: string, labels: Record<string, string> = {}): boolean {
    return this.#find(name, labels).length > 0
  }

  /** The sum of the samples that have these labels. */
  get(name: string, labels: Record<string, string> = {}): number {
    return this.#find(name, labels).reduce((sum, { value }) => sum + value, 0)
  }

  #find(name: string, labels: Record<string, string>) {
    return this.#samples.filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    )
  }
}

export async function scrape(app: FastifyInstance): Promise<Exposition> {
  return new Exposition((await app.inject('/metrics')).body)
}

export function sum(expositions: Exposition[], name: string, labels: Record<string, string> = {}): number {
  return expositions.reduce((sum, exposition) => sum + exposition.get(name, labels), 0)
}
