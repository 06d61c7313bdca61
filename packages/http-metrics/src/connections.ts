/**
 * Connections of HTTP/1.1, on which requests wait for each other: the client's end, or bytes that the parser refuses,
 * concern the first one without an answer, and those behind it end with the connection.
 *
 * @module
 */
import type { Duplex } from 'node:stream'
import { areHeadersSent, busyResponse } from './internals.ts'
import type { MeasuredResponse, Measurement, MeasurementMark } from './measurement.ts'

export interface Connections {
  /** Notes a request that the server has announced. */
  add(response: MeasuredResponse, socket: Duplex): void
  /** Ends a response with its socket: Node.js closes the one that a socket is busy with, and forgets those pipelined behind it. */
  await(response: MeasuredResponse, socket: Duplex): void
  /** The request whose answer a connection waits for, while it has taken no header of it. */
  unanswered(socket: Duplex): Measurement | undefined
  /** Whether a connection is in the middle of a request that was announced. */
  isReceiving(socket: Duplex): boolean
}

/** `end` is called for responses that their socket has left behind, and again where Node.js closes one after all. */
export function createConnections(
  kMeasurement: MeasurementMark,
  end: (response: MeasuredResponse) => void,
): Connections {
  /** On a socket, the response to its latest request. */
  const kLatest: unique symbol = Symbol('data20.http.latest')
  /** On a socket, the responses that wait for an earlier one to end. */
  const kWaiting: unique symbol = Symbol('data20.http.waiting')
  type MeasuredSocket = Duplex & { [kLatest]?: MeasuredResponse; [kWaiting]?: Set<MeasuredResponse> }

  return {
    add(response, socket: MeasuredSocket) {
      if (busyResponse(socket) !== undefined) awaitSocket(response, socket)
      if (socket[kLatest] === undefined) socket.on('end', onEnd)
      socket[kLatest] = response
    },
    await: awaitSocket,
    unanswered,
    isReceiving: (socket: MeasuredSocket) => socket[kLatest]?.req.complete === false,
  }

  function awaitSocket(response: MeasuredResponse, socket: MeasuredSocket): void {
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

  /** The client's end of the connection: Node.js sends nothing more. */
  function onEnd(this: Duplex): void {
    const measurement = unanswered(this)
    if (measurement !== undefined) measurement.isUnsent = true
  }

  function unanswered(socket: Duplex): Measurement | undefined {
    const response = busyResponse(socket) as MeasuredResponse | undefined
    return response === undefined || areHeadersSent(response) ? undefined : response[kMeasurement]
  }
}
