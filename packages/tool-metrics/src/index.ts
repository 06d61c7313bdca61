/**
 * `fastify.toolMetrics.track('build_graph', run)`: counts and times the tools that an application runs on behalf of its
 * callers, and distinguishes completed, failed, timed-out and cancelled executions.
 *
 * @module
 */
import { ensureMetrics, InvalidOptionError } from '@data20/metrics-core/plugin'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { UnregisteredToolError } from './errors.ts'
import { checkTrackOptions, Execution, settle, type TrackOptions } from './execution.ts'
import { createInstruments, type ToolSeries } from './instruments.ts'
import { REJECTIONS, STATUSES, type ToolRejection, type ToolStatus } from './metrics.ts'
import { resolveOptions, type ToolMetricsOptions } from './options.ts'

/** The decorator `fastify.toolMetrics`. */
export interface ToolMetrics {
  /**
   * Makes the series of these tools, with all statuses at zero. Idempotent: observing a tool again keeps its counts.
   */
  observe(...tools: string[]): void
  /** @deprecated Use `observe`. */
  register(...tools: string[]): void
  /**
   * Runs an observed tool and counts it once, by its outcome. A fulfilled run is `completed`, or `failed` if
   * `isFailure` says so. A rejected run is `timeout` or `cancelled` after its signal aborted, otherwise `failed`.
   * Settles as `run` does, and not earlier: a run that ignores its signal is still running, and the gauge counts it as
   * active. A stream or an iterator that `run` answers with is returned as it is, and the execution ends when it does:
   * `completed` when read to its end, `failed` by its error, `cancelled` when its reader leaves. Rejects with
   * `UnregisteredToolError` if the tool is not observed.
   */
  track<Result>(
    tool: string,
    run: (signal: AbortSignal) => Result | Promise<Result>,
    options?: TrackOptions,
  ): Promise<Result>
  /**
   * Starts an execution of an observed tool, for work that is not a promise. The function returned ends it; only its
   * first call counts. Throws `UnregisteredToolError` if the tool is not observed.
   */
  start(tool: string): (status: ToolStatus) => void
  /** Counts a request that never became an execution. */
  reject(reason: ToolRejection): void
}

declare module 'fastify' {
  interface FastifyInstance {
    toolMetrics: ToolMetrics
  }
}

async function toolMetrics(fastify: FastifyInstance, options: ToolMetricsOptions): Promise<void> {
  const { tools, buckets, isFailure } = resolveOptions(options)

  const metrics = await ensureMetrics(fastify)
  const { rejections, reserve } = createInstruments(metrics, buckets)
  const seriesByTool = new Map<string, ToolSeries>()

  observe(...tools)

  fastify.decorate('toolMetrics', { observe, register: observe, track, start, reject })

  function observe(...names: string[]): void {
    for (const name of names) seriesByTool.set(name, reserve(name))
  }

  async function track<Result>(
    tool: string,
    run: (signal: AbortSignal) => Result | Promise<Result>,
    options: TrackOptions = {},
  ): Promise<Result> {
    checkTrackOptions(options)
    const execution = new Execution(tool, start(tool), options)
    try {
      const result = await run(execution.signal)
      settle(result, execution, isFailed)
      return result
    } catch (error) {
      execution.failed(error)
      throw error
    }
  }

  function start(tool: string): (status: ToolStatus) => void {
    const series = seriesByTool.get(tool)
    if (series === undefined) throw new UnregisteredToolError(tool)
    const startMs = performance.now()
    let hasEnded = false
    series.active.inc()
    return (status) => {
      checkOneOf(STATUSES, status, 'status')
      if (hasEnded) return
      hasEnded = true
      series.active.dec()
      series.executions[status].inc()
      series.duration.observe((performance.now() - startMs) / 1000)
      if (status === 'completed') series.lastSuccess.setToCurrentTime()
    }
  }

  function reject(reason: ToolRejection): void {
    checkOneOf(REJECTIONS, reason, 'reason')
    rejections[reason].inc()
  }

  function isFailed(result: unknown, tool: string): boolean {
    if (isFailure === undefined) return false
    try {
      return isFailure(result, tool)
    } catch (error) {
      metrics.callbackError('tool-metrics', error)
      return false
    }
  }
}

/** Throws for an unknown value before anything is counted, so the caller can call again with a valid one. */
function checkOneOf(known: readonly string[], value: string, name: string): void {
  if (!known.includes(value)) throw new InvalidOptionError(name, `one of ${known.join(', ')}`, value)
}

const plugin: FastifyPluginAsync<ToolMetricsOptions> = fp(toolMetrics, { name: '@data20/tool-metrics', fastify: '5.x' })

export { UnregisteredToolError } from './errors.ts'
export type { TrackOptions } from './execution.ts'
export type { ToolMetricsOptions, ToolRejection, ToolStatus }
export { plugin as default, plugin as toolMetrics }
