/**
 * Measures the time to the headers of a response, which tells a slow handler from a slow reader. Opt-in.
 *
 * @module
 */
import type { HistogramSeries } from '@data20/metrics-core'
import { patch } from '@data20/metrics-core/plugin'
import type { RawResponse } from './protocol.ts'

/** Observes when a response begins, in seconds since `startMs`. It replaces methods of this one object only. */
export function observeStart(response: RawResponse, startMs: number, series: HistogramSeries): void {
  let isObserved = false
  const [target, names] =
    'stream' in response
      ? [response.stream, ['respond', 'respondWithFile', 'respondWithFD']]
      : // Node.js calls it for headers that nobody writes explicitly.
        [response, ['writeHead']]
  for (const name of names) {
    patch(target, name, (original) => {
      return function observed(...args) {
        const result = original.apply(this, args)
        if (!isObserved) series.observe((performance.now() - startMs) / 1000)
        isObserved = true
        return result
      }
    })
  }
}
