/**
 * `fastify.toolMetrics.track('build_graph', run)`: counts and times what an application runs on behalf of its callers,
 * and tells completed, failed, timed-out and cancelled executions apart.
 *
 * @module
 */

import type { CounterSeries, GaugeSeries, HistogramSeries } from '@data20/metrics-core'
import { checkList, checkTimeout, ensureMetrics, InvalidOptionError } from '@data20/metrics-core/plugin'
import createError, { type FastifyErrorConstructor } from '@fastify/error'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { definitions, REJECTIONS, STATUSES } from './metrics.ts'
import type { ToolMetricsOptions } from './options.ts'

/** How an execution ended. */
export type ToolStatus = (typeof STATUSES)[number]

/** Why a tool was never executed. */
export type ToolRejection = (typeof REJECTIONS)[number]

export interface TrackOptions {
  /** Aborts the run; it then counts as `cancelled`. A client's leaving is such a signal. */
  signal?: AbortSignal | undefined
  /** Milliseconds after which the run's signal aborts; it then counts as `timeout`. */
  timeoutMs?: number | undefined
}

/** What applications find at `fastify.toolMetrics`. */
export interface ToolMetrics {
  /** Makes the series of these tools, all statuses at zero. A tool can be registered again. */
  register(...tools: string[]): void
  /**
   * Runs a registered tool and counts it once, by its outcome: fulfilled is `completed` (or `failed`, as `isFailure`
   * says); rejected is `timeout` or `cancelled` after the signal aborted, else `failed`. Settles as `run` does, and no
   * sooner: a run that ignores its signal is still running, and the gauge says so.
   * Throws for a tool that is not registered.
   */
  track<Result>(
    tool: string,
    run: (signal: AbortSignal) => Result | Promise<Result>,
    options?: TrackOptions,
  ): Promise<Result>
  /** Begins an execution of a registered tool; the function returned ends it, the first call counts. For what is no promise. */
  start(tool: string): (status: ToolStatus) => void
  /** Counts a request that never became an execution. */
  reject(reason: ToolRejection): void
}

declare module 'fastify' {
  interface FastifyInstance {
    toolMetrics: ToolMetrics
  }
}

/** A name that no tool was registered with. Argument: the name. */
export const UnregisteredToolError: FastifyErrorConstructor<{ code: string; statusCode: 404 }, [string]> = createError(
  'TOOL_METRICS_ERR_UNREGISTERED',
  'Expected the name of a registered tool, got %s',
  404,
)

/** The bound series of one tool. */
interface ToolSeries {
  executions: Record<ToolStatus, CounterSeries>
  duration: HistogramSeries
  active: GaugeSeries
  lastSuccess: GaugeSeries
}

async function toolMetrics(fastify: FastifyInstance, options: ToolMetricsOptions): Promise<void> {
  const { tools = [], buckets = definitions.duration.buckets, isFailure } = options
  checkList(tools, 'tools')
  if (isFailure !== undefined && typeof isFailure !== 'function') {
    throw new InvalidOptionError('isFailure', 'a function', isFailure)
  }

  const metrics = await ensureMetrics(fastify)
  const executions = metrics.counter(definitions.executions)
  const duration = metrics.histogram({ ...definitions.duration, buckets })
  const active = metrics.gauge(definitions.active)
  const lastSuccess = metrics.gauge(definitions.lastSuccess)
  const rejections = metrics.counter(definitions.rejections)
  const rejectionSeries = byKey(REJECTIONS, (reason) => rejections.reserve({ reason }))
  const seriesByTool = new Map<string, ToolSeries>()

  register(...tools)

  fastify.decorate('toolMetrics', { register, track, start, reject })

  function register(...names: string[]): void {
    for (const tool_name of names) {
      seriesByTool.set(tool_name, {
        executions: byKey(STATUSES, (status) => executions.reserve({ status, tool_name })),
        duration: duration.reserve({ tool_name }),
        active: active.reserve({ tool_name }),
        lastSuccess: lastSuccess.reserve({ tool_name }),
      })
    }
  }

  async function track<Result>(
    tool: string,
    run: (signal: AbortSignal) => Result | Promise<Result>,
    { signal: outer, timeoutMs }: TrackOptions = {},
  ): Promise<Result> {
    if (timeoutMs !== undefined) checkTimeout(timeoutMs, 'timeoutMs', true)
    if (outer !== undefined && typeof outer.addEventListener !== 'function') {
      throw new InvalidOptionError('signal', 'an AbortSignal', outer)
    }
    const end = start(tool)
    const controller = new AbortController()
    const cancel = () => controller.abort(outer?.reason)
    const timer = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs)
    if (outer?.aborted) cancel()
    else outer?.addEventListener('abort', cancel, { once: true })

    try {
      const result = await run(controller.signal)
      end(isFailed(result, tool) ? 'failed' : 'completed')
      return result
    } catch (error) {
      end(statusOf(error, controller.signal))
      throw error
    } finally {
      clearTimeout(timer)
      outer?.removeEventListener('abort', cancel)
    }

    function expire(): void {
      controller.abort(new DOMException(`${tool} took longer than ${timeoutMs} ms`, 'TimeoutError'))
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
    rejectionSeries[reason].inc()
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

/** Before anything is counted, so that what is called again with a right value still is. */
function checkOneOf(known: readonly string[], value: string, name: string): void {
  if (!known.includes(value)) throw new InvalidOptionError(name, `one of ${known.join(', ')}`, value)
}

/** How a rejected execution ended: what aborted its signal decides, else the error's own name. */
function statusOf(error: unknown, { aborted, reason }: AbortSignal): ToolStatus {
  const name = (aborted ? reason : error)?.name
  if (name === 'TimeoutError') return 'timeout'
  return aborted || name === 'AbortError' ? 'cancelled' : 'failed'
}

function byKey<Key extends string, Value>(keys: readonly Key[], make: (key: Key) => Value): Record<Key, Value> {
  return Object.fromEntries(keys.map((key) => [key, make(key)])) as Record<Key, Value>
}

const plugin: FastifyPluginAsync<ToolMetricsOptions> = fp(toolMetrics, { name: '@data20/tool-metrics', fastify: '5.x' })

export type { ToolMetricsOptions }
export { plugin as default, plugin as toolMetrics }
