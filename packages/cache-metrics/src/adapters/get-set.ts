/**
 * The adapter for any cache with `get`, such as a Map, a client of a remote cache, or keyv.
 *
 * @module
 */
import { patch } from '@data20/metrics-core/plugin'
import type { Adapter } from '../adapter.ts'

export const getSet: Adapter = {
  fits: () => true,

  watch(cache, { hit, miss, evicted }, { nullIsMiss = false }) {
    const judge = cache instanceof Map ? judgeNow : judgeWhenKnown
    const restore: Array<() => void> = []
    /** True inside of a method of the cache. Its calls of other methods are not lookups of the application. */
    let isInside = false

    count('get', (value) => {
      if (value === undefined || (nullIsMiss && value === null)) miss()
      else hit()
    })
    // A `has` miss is not followed by `get`. A hit usually is, and is counted there.
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

/** Judges the result of a Map, which is synchronous: a promise in it is the value. */
function judgeNow(result: unknown, outcome: (value: unknown) => void): void {
  outcome(result)
}

/**
 * Judges a result that may be the promise of a remote cache once it is fulfilled. A failed lookup is neither a hit nor
 * a miss. The caller gets the original promise, not a derived one, since the caller may compare it.
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
