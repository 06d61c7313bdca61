/**
 * Bounds the memory that expositions take while their scrapers do not read them.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'

/** A scraper that takes no byte for this long loses its connection. Prometheus gives up a scrape long before. */
const STALLED_MS = 60_000

/** Takes note of a body before it is sent. */
export type HoldBody = (response: ServerResponse, bytes: number) => void

/**
 * Creates a function that holds bodies of at most `maxBytes` in all, and of one in any case. Where a further one
 * exceeds that, the connections that have waited longest are ended: a new scraper is never refused, since stalled ones
 * would shut out Prometheus. `onCut` hears of each.
 */
export function createPendingBodies(maxBytes: number, onCut: () => void): HoldBody {
  /** In the order of their beginning. */
  const bytesOf = new Map<ServerResponse, number>()
  let total = 0

  return function hold(response, bytes) {
    // The scraper has left during the collection.
    if (response.destroyed) return
    for (const oldest of bytesOf.keys()) {
      if (total + bytes <= maxBytes) break
      release(oldest)
      oldest.destroy()
      onCut()
    }
    bytesOf.set(response, bytes)
    total += bytes
    response.once('close', () => release(response))
    // The time begins again when a part of the body has left. The socket of inject() cannot time out.
    if (typeof response.socket?.setTimeout !== 'function') return
    response.setTimeout(STALLED_MS, () => response.destroy())
  }

  function release(response: ServerResponse): void {
    total -= bytesOf.get(response) ?? 0
    bytesOf.delete(response)
  }
}
