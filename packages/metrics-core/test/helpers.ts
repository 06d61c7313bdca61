/** What several test files share: applications, scrapes, child processes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { PerformanceObserver } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { type Metrics, type MetricsCoreOptions, metricsCore } from '../src/index.ts'

export const TEXT = 'text/plain; version=0.0.4; charset=utf-8'
export const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

/** Builds an application with metrics-core and nothing else; the end of the test closes it. */
export async function build(t: Test, options: MetricsCoreOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(metricsCore, { defaultMetrics: false, app: { name: 'test', version: '1' }, ...options })
  return app
}

/** Returns the body of `GET /metrics`. */
export async function scrape(app: FastifyInstance, headers: Record<string, string> = {}): Promise<string> {
  const { statusCode, body } = await app.inject({ url: '/metrics', headers })
  if (statusCode !== 200) throw new Error(`Expected 200, got ${statusCode}: ${body}`)
  return body
}

/** Returns the lines of an exposition that begin with a prefix, comments included. */
export function lines(text: string, prefix: string): string[] {
  return text.split('\n').filter((line) => line.replace(/^# (HELP|TYPE|UNIT) /, '').startsWith(prefix))
}

/** Returns the sample lines of the metrics whose names begin with a prefix. */
export async function samples(metrics: Metrics, prefix: string, accept?: string): Promise<string[]> {
  const { body } = await metrics.expose({ accept })
  return body
    .toString()
    .split('\n')
    .filter((line) => line.startsWith(prefix))
}

/** A promise that the test resolves: collectors wait for it. */
export interface Gate {
  readonly opened: Promise<void>
  open(): void
}

export function createGate(): Gate {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

/** The environment of child processes: without NODE_OPTIONS, tap does not count them as its own. */
const { NODE_OPTIONS, ...environment } = process.env

/** Runs a script of `fixtures/` to its end. */
export async function runFixture(
  name: string,
  args: string[] = [],
  flags: string[] = [],
): Promise<{ stdout: string; stderr: string; code: number | null }> {
  const script = fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
  const child = spawn(process.execPath, [...flags, script, ...args], { env: environment, timeout: 90_000 })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { stdout, stderr, code }
}

/** Counts garbage collections by an observer of its own, beside those that `nodejs_gc_duration_seconds` has counted. */
export function observeCollections(
  t: Test,
  { metrics }: FastifyInstance,
): () => Promise<{ seen: number; counted: number }> {
  let seen = 0
  const observer = new PerformanceObserver((list) => {
    seen += list.getEntries().length
  })
  observer.observe({ entryTypes: ['gc'] })
  t.teardown(() => observer.disconnect())
  return async () => {
    // Node.js calls observers in a later turn of the event loop.
    for (let round = 0; round < 5; round += 1) await turn()
    const { body } = await metrics.expose({ names: ['nodejs_gc_duration_seconds'] })
    const counts = body.toString().matchAll(/^nodejs_gc_duration_seconds_count\{.*\} (\d+)$/gm)
    return { seen, counted: [...counts].reduce((sum, [, count]) => sum + Number(count), 0) }
  }
}
