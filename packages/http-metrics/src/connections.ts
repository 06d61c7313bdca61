/**
 * Follows connections of HTTP/1.1, on which requests wait for each other. The client's FIN, and bytes that the parser
 * refuses, concern the first request without an answer; those behind it end with the connection.
 *
 * @module
 */

import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { areHeadersSent, busyResponse } from './internals.ts'
import type { MeasuredResponse, Measurement, MeasurementMark } from './measurement.ts'

export interface Connections {
  /** Follows a connection until it closes. */
  follow(socket: Duplex): void
  /** Returns the responses that connections are busy with. */
  busyResponses(): Iterable<ServerResponse>
  /** Adds a request that the server announced. */
  add(response: MeasuredResponse, socket: Duplex): void
  /** Ends a response with its socket: Node.js closes the response that a socket is busy with, and no other. */
  endWithSocket(response: MeasuredResponse, socket: Duplex): void
  /** Returns the request that a connection is to answer next, until it takes a header of the answer. */
  unanswered(socket: Duplex): Measurement | undefined
  /** Returns whether a connection is in the middle of a request that was announced. */
  isReceiving(socket: Duplex): boolean
}

/** `end` is called for a response whose socket has closed; once more where Node.js closes the response after all. */
export function createConnections(
  kMeasurement: MeasurementMark,
  end: (response: MeasuredResponse) => void,
): Connections {
  /** On a socket: the response to its latest request. */
  const kLatest: unique symbol = Symbol('data20.http.latest')
  /** On a socket: the responses that wait for an earlier one to end. */
  const kWaiting: unique symbol = Symbol('data20.http.waiting')
  const kFollowed: unique symbol = Symbol('data20.http.followed')
  type MeasuredSocket = Duplex & {
    [kLatest]?: MeasuredResponse
    [kWaiting]?: Set<MeasuredResponse>
    [kFollowed]?: boolean
  }
  const followed = new Set<Duplex>()

  return { follow, busyResponses, add, endWithSocket, unanswered, isReceiving }

  function follow(socket: MeasuredSocket): void {
    if (socket[kFollowed] === true) return
    socket[kFollowed] = true
    followed.add(socket)
    socket.on('close', onClose)
  }

  function onClose(this: Duplex): void {
    followed.delete(this)
  }

  function* busyResponses(): Generator<ServerResponse> {
    for (const socket of followed) {
      const response = busyResponse(socket)
      if (response !== undefined) yield response
    }
  }

  function add(response: MeasuredResponse, socket: MeasuredSocket): void {
    if (busyResponse(socket) !== undefined) endWithSocket(response, socket)
    if (socket[kLatest] === undefined) {
      socket.on('end', onEnd)
      follow(socket)
    }
    socket[kLatest] = response
  }

  function endWithSocket(response: MeasuredResponse, socket: MeasuredSocket): void {
    let waiting = socket[kWaiting]
    if (waiting === undefined) {
      waiting = new Set()
      socket[kWaiting] = waiting
      socket.on('close', () => {
        for (const one of socket[kWaiting] ?? []) end(one)
      })
    }
    waiting.add(response)
    response.on('close', () => socket[kWaiting]?.delete(response))
  }

  /** Runs at the client's FIN: Node.js sends nothing more. */
  function onEnd(this: Duplex): void {
    const measurement = unanswered(this)
    if (measurement !== undefined) measurement.isUnsent = true
  }

  function unanswered(socket: Duplex): Measurement | undefined {
    const response = busyResponse(socket)
    if (response === undefined || areHeadersSent(response)) return undefined
    return (response as MeasuredResponse)[kMeasurement]
  }

  function isReceiving(socket: MeasuredSocket): boolean {
    return socket[kLatest]?.req.complete === false
  }
}
