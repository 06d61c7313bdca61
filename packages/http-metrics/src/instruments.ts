/**
 * Makes the instruments from their definitions and binds the series of a route.
 *
 * @module
 */
import type { CounterSeries, HistogramSeries, Metrics } from '@data20/metrics-core'
import { createLabelValues, type LabelSource } from './labels.ts'
import { definitions, PARSER_ERROR_CODES, PHASES, type Phase } from './metrics.ts'
import { createOpenCounts, type OpenCount } from './open-count.ts'
import type { ResolvedOptions, ResolvedRouteOptions } from './options.ts'

interface StatusSeries {
  readonly requests: CounterSeries
  /** From status 400. */
  readonly errors: CounterSeries | undefined
}

/** The series that count the end of a request. A class keeps the hot path monomorphic. */
export class RequestSeries {
  readonly duration: HistogramSeries
  /** By status; bound when the status first occurs. */
  readonly #byStatus: Array<StatusSeries | undefined> = []
  readonly #bind: (status: number) => StatusSeries

  constructor(duration: HistogramSeries, bind: (status: number) => StatusSeries) {
    this.duration = duration
    this.#bind = bind
  }

  /** Counts a request, and an error from status 400. */
  count(status: number): void {
    const { requests, errors } = this.#byStatus[status] ?? this.prepare(status)
    requests.inc()
    if (errors !== undefined) errors.inc()
  }

  /** Makes the series of a status. */
  prepare(status: number): StatusSeries {
    const series = this.#bind(status)
    this.#byStatus[status] = series
    return series
  }
}

/** The series of long-lived responses. */
interface StreamSeries {
  readonly duration: HistogramSeries
  readonly open: OpenCount
}

/** What a {@link RouteSeries} is made of. */
interface RouteParts extends Omit<RouteSeries, 'streams' | 'endStream'> {
  bindStreams(): StreamSeries
}

/** The series of one route and method. */
export class RouteSeries {
  /** With `other` as the value of each custom label. */
  readonly requests: RequestSeries
  /** Returns the series with the custom labels of a request; `undefined` where there are no custom labels. */
  readonly requestsOf: ((source: LabelSource | undefined) => RequestSeries) | undefined
  /** Makes the series of statuses, with every combination of the known values of custom labels. */
  readonly prepare: (statuses: readonly number[]) => void
  readonly inFlight: OpenCount
  readonly aborted: Readonly<Record<Phase, CounterSeries>>
  /** The route says that its responses are open for long. */
  readonly isStream: boolean
  readonly requestSize: HistogramSeries | undefined
  readonly responseSize: HistogramSeries | undefined
  readonly responseStart: HistogramSeries | undefined
  readonly #bindStreams: () => StreamSeries
  #streams: StreamSeries | undefined = undefined

  constructor(parts: RouteParts) {
    this.requests = parts.requests
    this.requestsOf = parts.requestsOf
    this.prepare = parts.prepare
    this.inFlight = parts.inFlight
    this.aborted = parts.aborted
    this.isStream = parts.isStream
    this.requestSize = parts.requestSize
    this.responseSize = parts.responseSize
    this.responseStart = parts.responseStart
    this.#bindStreams = parts.bindStreams
  }

  /** Made when first asked for: few routes have them. */
  get streams(): StreamSeries {
    this.#streams ??= this.#bindStreams()
    return this.#streams
  }

  /** Counts the end of a long-lived response. That its client leaves is how it ends, and no abort. */
  endStream(seconds: number, phase: Phase | undefined): void {
    this.streams.duration.observe(seconds)
    if (phase === 'truncated') this.aborted.truncated.inc()
  }
}

export interface Instruments {
  /** Binds the series of a route and method, and makes those that do not exist yet. */
  bindRoute(method: string, options: ResolvedRouteOptions): RouteSeries
  /** Returns how many series a route and method has with these statuses at 0. */
  seriesOf(statuses: readonly number[]): number
  /** By the code of the error. */
  readonly parserErrors: ReadonlyMap<string, CounterSeries>
}

/** Makes the instruments of a registry, in the order in which they are exposed. */
export function createInstruments(metrics: Metrics, options: ResolvedOptions): Instruments {
  const { buckets, groupStatus, endpointLabel, sizes, responseStart: hasStart } = options
  const customLabels = createLabelValues(options.labels, (error) => metrics.callbackError('http-metrics', error))
  const customNames = customLabels.names
  const base = [endpointLabel, 'method'] as const

  const requests = metrics.counter({ ...definitions.requests, labelNames: [...base, 'status', ...customNames] })
  const errors = metrics.counter({ ...definitions.errors, labelNames: [...base, 'status', ...customNames] })
  const duration = metrics.histogram({ ...definitions.duration, labelNames: [...base, ...customNames], buckets })
  const inFlight = metrics.gauge({ ...definitions.inFlight, labelNames: base })
  const openCountOf = createOpenCounts(inFlight)
  const aborted = metrics.counter({ ...definitions.aborted, labelNames: [...base, 'phase'] })
  const requestSize = sizes ? metrics.histogram({ ...definitions.requestSize, labelNames: base }) : undefined
  const responseSize = sizes ? metrics.histogram({ ...definitions.responseSize, labelNames: base }) : undefined
  const responseStart = hasStart
    ? metrics.histogram({ ...definitions.responseStart, labelNames: base, buckets })
    : undefined
  const streamDuration = metrics.histogram({ ...definitions.streamDuration, labelNames: base })
  const streamsOpen = metrics.gauge({ ...definitions.streamsOpen, labelNames: base })
  const openStreamsOf = createOpenCounts(streamsOpen)
  const parserErrors = metrics.counter(definitions.parserErrors)

  return {
    bindRoute,
    seriesOf,
    parserErrors: new Map(PARSER_ERROR_CODES.map((code) => [code, parserErrors.reserve({ code })])),
  }

  function bindRoute(method: string, { endpoint, buckets: ownBuckets, isStream }: ResolvedRouteOptions): RouteSeries {
    const labels = { [endpointLabel]: endpoint, method }
    const byPhase = PHASES.map((phase) => [phase, aborted.reserve({ ...labels, phase })])
    const requestsOf = createRequestsOf(labels, ownBuckets)

    const route = new RouteSeries({
      requests: requestsOf(customLabels.of(undefined)),
      requestsOf: customNames.length === 0 ? undefined : (source) => requestsOf(customLabels.of(source)),
      prepare(statuses) {
        if (statuses.length === 0) return
        for (const values of customLabels.combinations()) {
          const series = requestsOf(values)
          for (const status of statuses) series.prepare(status)
        }
      },
      inFlight: openCountOf(inFlight.reserve(labels)),
      aborted: Object.fromEntries(byPhase) as RouteSeries['aborted'],
      requestSize: requestSize?.reserve(labels),
      responseSize: responseSize?.reserve(labels),
      responseStart: responseStart?.reserve(labels),
      isStream,
      bindStreams: () => ({
        duration: streamDuration.reserve(labels),
        open: openStreamsOf(streamsOpen.reserve(labels)),
      }),
    })
    // Those of a route that says so start at 0.
    if (isStream) void route.streams
    return route
  }

  function seriesOf(statuses: readonly number[]): number {
    const errorStatuses = statuses.filter((status) => status >= 400)
    // A histogram has a series for each bucket, for +Inf, for the sum and for the count.
    const ofHistogram = buckets.length + 3
    const ofValues = ofHistogram + statuses.length + errorStatuses.length
    // With custom labels there is one more histogram, where each is `other`.
    const combinations = statuses.length === 0 ? 0 : customLabels.count
    const ofOther = customNames.length > 0 || combinations === 0 ? ofHistogram : 0
    return combinations * ofValues + ofOther + 1 + PHASES.length
  }

  /** Returns the function that finds the series of a route with the values of the custom labels. */
  function createRequestsOf(
    labels: Record<string, string>,
    ownBuckets: readonly number[] | undefined,
  ): (values: readonly string[]) => RequestSeries {
    const byValues = new Map<string, RequestSeries>()

    return (values) => {
      const key = JSON.stringify(values)
      const known = byValues.get(key)
      if (known !== undefined) return known
      const custom = Object.fromEntries(customLabels.names.map((name, index) => [name, values[index]!]))
      const bound = bindRequests({ ...labels, ...custom }, ownBuckets)
      byValues.set(key, bound)
      return bound
    }
  }

  function bindRequests(labels: Record<string, string>, ownBuckets: readonly number[] | undefined): RequestSeries {
    return new RequestSeries(duration.reserve(labels, ownBuckets), (status) => {
      const withStatus = { ...labels, status: groupStatus ? `${Math.floor(status / 100)}xx` : status }
      return {
        requests: requests.reserve(withStatus),
        errors: status >= 400 ? errors.reserve(withStatus) : undefined,
      }
    })
  }
}
