/**
 * Holds the state of one request from its start to its count, and the mark that finds it on the response.
 * See docs/decisions/0009-hot-path-objects-are-classes.md.
 *
 * @module
 */
import { performance } from 'node:perf_hooks'
import type { Metrics } from '@data20/metrics-core'
import type { RouteSeries } from './instruments.ts'
import type { LabelSource } from './labels.ts'
import type { OpenCount } from './open-count.ts'
import type { Notes, Protocol, RawResponse } from './protocol.ts'
import { LEFT_OUT, type MeasuredRoute } from './routes.ts'
import type { CountedBodies } from './sizes.ts'

/**
 * One request. It is `unassigned` until its route is known, then `in flight` until it is `counted`. It is `left out`
 * if its route is not measured, and `unclaimed` if it ended and was not one of this application. A class keeps the hot
 * path monomorphic.
 */
export class Measurement implements Notes {
  /** When the request arrived, in milliseconds of `performance.now()`. */
  startMs: number = performance.now()
  readonly protocol: Protocol
  state: 'unassigned' | 'in flight' | 'counted' | 'left out' | 'unclaimed' = 'unassigned'
  /** The server gave it to listeners of which Fastify's need not be the one that answers. */
  mayBeForeign = false
  /** Set while the request is in flight. */
  route: RouteSeries | undefined = undefined
  /** Kept for custom labels. */
  labels: LabelSource | undefined = undefined
  /** Kept for `sizes`. */
  bodies: CountedBodies | undefined = undefined
  /** Set while `http_streams_open` shows the request. */
  stream: OpenCount | undefined = undefined
  answered: number | undefined = undefined
  isUnsent = false

  constructor(protocol: Protocol) {
    this.protocol = protocol
  }

  /** Gives an unassigned request to its route, where it is in flight from now on. */
  assign(route: MeasuredRoute): void {
    if (route === LEFT_OUT) {
      this.state = 'left out'
      return
    }
    this.state = 'in flight'
    this.route = route
    route.inFlight.begin()
  }

  /** Returns whether the response of a request in flight is one that stays open for long. */
  isStream(response: RawResponse): boolean {
    return this.route!.isStream || this.protocol.isStream(response, this)
  }

  /** Adds a request in flight to the open streams. Idempotent. */
  openStream(): void {
    if (this.stream !== undefined) return
    this.stream = this.route!.streams.open
    this.stream.begin()
  }

  /** Counts a request that is in flight. Idempotent: a response may be closed more than once. */
  count(response: RawResponse): void {
    if (this.state !== 'in flight') return
    this.state = 'counted'
    const route = this.route!
    route.inFlight.end()
    if (this.stream !== undefined) this.stream.end()

    const seconds = (performance.now() - this.startMs) / 1000
    const { status, phase } = this.protocol.endingOf(response, this)
    const series = route.requestsOf === undefined ? route.requests : route.requestsOf(this.labels)
    series.count(status)
    if (this.isStream(response)) route.endStream(seconds, phase)
    else {
      if (phase !== undefined) route.aborted[phase].inc()
      series.duration.observe(seconds)
    }
    if (this.bodies !== undefined) this.bodies.observe(route)
    // An idle connection keeps its latest response, which must not keep objects of the application alive.
    this.route = undefined
    this.labels = undefined
  }
}

declare const kMeasurementType: unique symbol
export type MeasurementMark = typeof kMeasurementType
export type MeasuredResponse = RawResponse & { [kMeasurementType]?: Measurement }

const marks = new WeakMap<Metrics, MeasurementMark>()

/**
 * Returns the symbol under which a response holds its {@link Measurement}: one per registry. Two registrations with the
 * same registry, in the application and in a part of it, count a request once; an application inside another has its
 * own.
 */
export function markOf(metrics: Metrics): MeasurementMark {
  const mark: MeasurementMark = marks.get(metrics) ?? (Symbol('data20.http.measurement') as MeasurementMark)
  marks.set(metrics, mark)
  return mark
}

/**
 * Returns whether a response belongs to an application with another registry: one of its hooks has seen the request, or
 * it was given the request last.
 */
export function isClaimedByAnother(response: MeasuredResponse, own: Measurement): boolean {
  let isLater = false
  // In the order in which the applications were given the request.
  for (const symbol of Object.getOwnPropertySymbols(response)) {
    const other = (response as unknown as Record<symbol, unknown>)[symbol]
    if (other === own) isLater = true
    else if (other instanceof Measurement && other.state !== 'unclaimed') {
      if (other.state !== 'unassigned' || (isLater && !own.mayBeForeign)) return true
    }
  }
  return false
}
