/**
 * Follows responses that are open for long: event streams, connections that were upgraded, and those of routes that say
 * so. They are found when the gauge is read, so that other requests pay nothing.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'
import type { Metrics } from '@data20/metrics-core'
import { type MeasuredResponse, type MeasurementMark, markOf } from './measurement.ts'

export interface Streams {
  /** Follows a response that no connection of HTTP/1.1 is busy with. */
  add(response: MeasuredResponse): void
  /** Ends following a response. */
  delete(response: MeasuredResponse): void
  /** Follows what connections are busy with. */
  addConnections(busyResponses: () => Iterable<ServerResponse>): void
  /** Ends the collection. */
  stop(): void
}

const streamsByRegistry = new WeakMap<Metrics, Streams>()

/** Returns the streams of a registry: registrations in an application and in parts of it may share one. */
export function streamsOf(metrics: Metrics): Streams {
  const streams = streamsByRegistry.get(metrics) ?? createStreams(metrics)
  streamsByRegistry.set(metrics, streams)
  return streams
}

function createStreams(metrics: Metrics): Streams {
  const kMeasurement: MeasurementMark = markOf(metrics)
  const followed = new Set<MeasuredResponse>()
  const connections: Array<() => Iterable<ServerResponse>> = []

  return {
    add: (response) => void followed.add(response),
    delete: (response) => void followed.delete(response),
    addConnections: (busyResponses) => void connections.push(busyResponses),
    stop: metrics.collector('http_streams', collect),
  }

  /** Counts the streams that are new. Their end takes them off again. */
  function collect(): void {
    for (const response of followed) open(response)
    for (const busyResponses of connections) for (const response of busyResponses()) open(response)
  }

  function open(response: MeasuredResponse): void {
    const measurement = response[kMeasurement]
    if (measurement?.state === 'in flight' && measurement.isStream(response)) measurement.openStream()
  }
}
