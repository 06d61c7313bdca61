import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { toNumber } from './exposition.ts'
import { type Service, startService } from './service.ts'
import { temporaryDirectory } from './temporary.ts'
import { prometheus, type Tool, type ToolOptions } from './tools.ts'

export interface PrometheusServiceOptions extends ToolOptions {
  /** The text of the configuration file. */
  config: string
  /**
   * Where the configuration is written, as `prometheus.yml`, and the samples are kept, in `data`; the configuration finds its
   * rule files from there.
   * @default a temporary folder that `stop` deletes
   */
  directory?: string
  /** @default one that is free */
  port?: number
  /**
   * The Prometheus to run.
   * @default the one of PATH or of `suite`
   */
  binary?: Tool
  /** More command line flags. */
  args?: string[]
}

/** One series of an instant query. */
export interface Sample {
  labels: Record<string, string>
  /** `NaN` and the infinities included. */
  value: number
}

export interface Target {
  labels: Record<string, string>
  scrapeUrl: string
  health: 'up' | 'down' | 'unknown'
  /** Why the last scrape failed, or an empty string. */
  lastError: string
}

export interface PrometheusService extends Service {
  /** Evaluates an expression now, or at a time in seconds. Throws with Prometheus' own words for an expression that is wrong. */
  query(expression: string, timeSeconds?: number): Promise<Sample[]>
  /** The targets that are scraped, and how their last scrape ended. */
  targets(): Promise<Target[]>
}

/**
 * A real Prometheus, which answers in 0.3 s. Its first scrape comes after 5 s: service discovery waits that long and cannot be told
 * otherwise. Throws `ToolUnavailableError`.
 */
export async function startPrometheus(options: PrometheusServiceOptions): Promise<PrometheusService> {
  const { config, port, suite, binary, args = [] } = options
  const tool = binary ?? (await prometheus({ suite }))
  const { directory, dispose } = options.directory
    ? { directory: resolve(options.directory), dispose: () => {} }
    : temporaryDirectory('prometheus')
  const file = join(directory, 'prometheus.yml')
  writeFileSync(file, config)
  const service = await startService({
    tool,
    port,
    args: (port) => [
      ...[`--config.file=${file}`, `--web.listen-address=127.0.0.1:${port}`, '--log.level=warn'],
      // An agent has no such storage and refuses the flag.
      ...(args.some((flag) => flag.startsWith('--storage.')) ? [] : [`--storage.tsdb.path=${join(directory, 'data')}`]),
      ...args,
    ],
    url: (port) => `http://127.0.0.1:${port}`,
    isReady: (port) => answersReady(port),
    dispose,
  })
  return Object.assign(service, { query, targets })

  async function query(expression: string, timeSeconds?: number): Promise<Sample[]> {
    const parameters = new URLSearchParams({ query: expression })
    if (timeSeconds !== undefined) parameters.set('time', String(timeSeconds))
    const { resultType, result } = await get<QueryData>(`/api/v1/query?${parameters}`)
    if (resultType === 'scalar') return [{ labels: {}, value: toNumber(result[1]) }]
    return result.map(({ metric, value }) => ({ labels: metric, value: toNumber(value[1]) }))
  }

  async function targets(): Promise<Target[]> {
    const { activeTargets } = await get<{ activeTargets: Target[] }>('/api/v1/targets?state=active')
    return activeTargets.map(({ labels, scrapeUrl, health, lastError }) => ({ labels, scrapeUrl, health, lastError }))
  }

  async function get<Data>(path: string): Promise<Data> {
    const response = await fetch(service.url + path)
    const body = (await response.json()) as { status: string; data: Data; error?: string }
    if (body.status !== 'success') throw new Error(`Prometheus answered ${response.status}: ${body.error}`)
    return body.data
  }
}

type QueryData =
  | { resultType: 'scalar'; result: [number, string] }
  | { resultType: 'vector'; result: { metric: Record<string, string>; value: [number, string] }[] }

/** Whether the `/-/ready` of a Prometheus or Alertmanager says yes. */
export async function answersReady(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/-/ready`, { signal: AbortSignal.timeout(1_000) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}
