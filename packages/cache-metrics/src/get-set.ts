/**
 * Any cache with `get`, such as a Map, a client of a remote cache, or keyv.
 *
 * @module
 */

import { patch } from '@data20/metrics-core/plugin'
import type { Adapter } from './adapter.ts'

export const getSet: Adapter = {
  fits: () => true,

  watch(cache, { hit, miss, evicted }, { nullIsMiss = false }) {
    const judge = cache instanceof Map ? judgeNow : judgeWhenKnown
    const restore: Array<() => void> = []
    /** What a method of the cache asks of another one is no lookup of the application. */
    let isInside = false

    count('get', (value) => {
      if (value === undefined || (nullIsMiss && value === null)) miss()
      else hit()
    })
    // Who finds nothing does not `get` afterwards, who finds something does.
    count('has', (isThere) => {
      if (!isThere) miss()
    })
    count('delete', (wasThere) => {
      if (wasThere === true || (typeof wasThere === 'number' && wasThere > 0)) evicted('delete')
    })

    return {
      reasons: hasMethod('delete') ? ['delete'] : [],
      entries: typeof sizeOf(cache) === 'number' ? () => sizeOf(cache) as number : undefined,
      release() {
        for (const putBack of restore) putBack()
      },
    }

    function count(method: string, outcome: (value: unknown) => void): void {
      if (!hasMethod(method)) return
      restore.push(
        patch(cache, method, (original) => {
          return function (...args) {
            if (isInside) return original.apply(this, args)
            isInside = true
            try {
              const result = original.apply(this, args)
              judge(result, outcome)
              return result
            } finally {
              isInside = false
            }
          }
        }),
      )
    }

    function hasMethod(method: string): boolean {
      return typeof (cache as unknown as Record<string, unknown>)[method] === 'function'
    }
  },
}

/** A Map answers at once: a promise in it is the value. */
function judgeNow(result: unknown, outcome: (value: unknown) => void): void {
  outcome(result)
}

/**
 * A promise may be the answer of a remote cache, which is judged once it is fulfilled; a lookup that failed is neither hit nor
 * miss. The promise itself is handed to the caller, who may compare it, so it is watched from the side.
 */
function judgeWhenKnown(result: unknown, outcome: (value: unknown) => void): void {
  if (isThenable(result)) result.then(outcome, () => {})
  else outcome(result)
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

function sizeOf(cache: object): unknown {
  return (cache as { size?: unknown }).size
}
