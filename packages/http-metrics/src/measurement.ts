/**
 * The state of one request, and the mark by which it is found on the response.
 *
 * @module
 */
import { performance } from 'node:perf_hooks'
import type { Metrics } from '@data20/metrics-core'
import type { FastifyRequest } from 'fastify'
import type { RawResponse } from './ending.ts'
import type { RouteSeries } from './routes.ts'
import type { CountedBodies } from './sizes.ts'

/** What is known of a request until its response is closed. */
export class Measurement {
  /** Milliseconds of `performance.now()` at which the request was there. */
  start: number = performance.now()
  /** The series of its route: `undefined` until a hook knows it, `null` where it is left out, or counted already. */
  route: RouteSeries | null | undefined = undefined
  /** For custom labels. */
  request: FastifyRequest | undefined = undefined
  /** For sizes. */
  bodies: CountedBodies | undefined = undefined
  /** The status of what was answered past the response: by Fastify to what the parser refused, by who took an upgrade. */
  answered: number | undefined = undefined
  /** Whether the client's end of the connection came before any header: what is written since reaches nobody. */
  isUnsent = false
}

declare const kMeasurementType: unique symbol
export type MeasurementMark = typeof kMeasurementType
export type MeasuredResponse = RawResponse & { [kMeasurementType]?: Measurement }

const marks = new WeakMap<Metrics, MeasurementMark>()

/**
 * The mark on a response that holds its {@link Measurement}: one for each registry. Two registrations with the same
 * registry, in the application and in a part of it, count a request once; an application inside of another has its own.
 */
export function markOf(metrics: Metrics): MeasurementMark {
  const mark: MeasurementMark = marks.get(metrics) ?? (Symbol('data20.http.measurement') as MeasurementMark)
  marks.set(metrics, mark)
  return mark
}
