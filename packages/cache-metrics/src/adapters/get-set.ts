/**
 * The adapter for any cache with `get`, such as a Map, a client of a remote cache, keyv, cache-manager or unstorage.
 *
 * @module
 */
import { type Method, patch } from '@data20/metrics-core/plugin'
import type { Adapter, CacheEvents } from '../adapter.ts'
import type { ObserveOptions } from '../options.ts'
import { deletedOf, isThenable, resultOf, valuesOf } from './answers.ts'
import { countLoads, LOADERS } from './loader.ts'

/** Methods that read several keys, given as an array or as arguments. */
const MANY: readonly string[] = ['getMany', 'mget', 'mGet', 'hmget', 'hmGet', 'getItems']

/** What a call was asked, and what it answered. `isRemote`: by promise or callback. */
type Judge = (answer: unknown, keys: unknown, isRemote: boolean) => void

export const getSet: Adapter = {
  fits: () => true,

  watch(cache, events, options) {
    const restore: Array<() => void> = []
    const judges = createJudges(events, options)
    const failures = countFailures(cache, restore)
    /** True inside of a method of the cache. Its calls of other methods are not lookups of the application. */
    let isInside = false

    for (const [methods, judge] of judges)
      for (const method of methods) replace(method, (original) => judged(original, judge))
    for (const method of LOADERS) replace(method, countLoads(events))

    return {
      reasons: hasMethod('delete') ? ['delete'] : [],
      entries: typeof sizeOf(cache) === 'number' ? () => sizeOf(cache) as number : undefined,
      release() {
        for (const putBack of restore) putBack()
      },
    }

    function replace(method: string, wrap: (original: Method) => Method): void {
      if (!hasMethod(method)) return
      restore.push(
        patch(cache, method, (original) => {
          const wrapped = wrap(original)
          return function (...args) {
            if (isInside) return original.apply(this, args)
            isInside = true
            try {
              return wrapped.apply(this, args)
            } finally {
              isInside = false
            }
          }
        }),
      )
    }

    /** Calls the judge with the answer, which comes as a value, by promise, or to a callback. */
    function judged(original: Method, judge: Judge): Method {
      // A promise in a Map is the value.
      if (cache instanceof Map) return judgedNow(original, judge)
      return function (...args) {
        const [keys] = args
        const failuresBefore = failures.count
        const last = args.at(-1)
        const isCalledBack = typeof last === 'function' && args.length > 1
        let answer: unknown
        let hasEnded = false
        if (isCalledBack) args[args.length - 1] = callback
        answer = original.apply(this, args)
        // The caller gets the original promise, not a derived one, since the caller may compare it.
        if (isThenable(answer)) answer.then(settled, () => events.answered('error'))
        // A function that is called although the call returned nothing is a callback; others load the value.
        else if (answer !== undefined || !isCalledBack) judge(answer, keys, false)
        return answer

        function settled(value: unknown): void {
          if (value === undefined && failures.count > failuresBefore) events.answered('error')
          else judge(value, keys, true)
        }

        function callback(this: unknown, ...outcome: unknown[]): unknown {
          if (!hasEnded && answer === undefined && outcome.length > 0) {
            hasEnded = true
            if (outcome[0]) events.answered('error')
            else judge(outcome[1], keys, true)
          }
          return (last as Method).apply(this, outcome)
        }
      }
    }

    function hasMethod(method: string): boolean {
      return typeof (cache as unknown as Record<string, unknown>)[method] === 'function'
    }
  },
}

function judgedNow(original: Method, judge: Judge): Method {
  return function (...args) {
    const answer = original.apply(this, args)
    judge(answer, args[0], false)
    return answer
  }
}

/** Returns what the answers of each method mean. */
function createJudges(
  { answered, evicted }: CacheEvents,
  { nullIsMiss }: ObserveOptions,
): Array<[methods: readonly string[], judge: Judge]> {
  const judgeAll = (values: unknown[], isRemote: boolean) => {
    for (const value of values) answered(resultOf(value, nullIsMiss ?? isRemote))
  }
  const judgeMany: Judge = (answer, keys, isRemote) => judgeAll(valuesOf(answer, keys), isRemote)
  return [
    [
      ['get', 'getItem'],
      (answer, keys, isRemote) => {
        if (Array.isArray(keys)) judgeMany(answer, keys, isRemote)
        else answered(resultOf(answer, nullIsMiss ?? isRemote))
      },
    ],
    [MANY, judgeMany],
    // A `has` miss is not followed by `get`. A hit usually is, and is counted there.
    [['has', 'hasMany'], (answer) => answered('miss', [answer].flat().filter((isThere) => !isThere).length)],
    [
      ['delete', 'deleteMany'],
      (answer, keys) => {
        const count = deletedOf(answer, keys)
        if (count > 0) evicted('delete', count)
      },
    ],
  ]
}

/** Counts the errors that a cache emits: keyv answers a lookup that failed with undefined, and emits the error. */
function countFailures(cache: object, restore: Array<() => void>): { count: number } {
  const failures = { count: 0 }
  if (typeof (cache as { emit?: unknown }).emit !== 'function') return failures
  restore.push(
    patch(cache, 'emit', (original) => {
      return function (event, ...args) {
        if (event === 'error') failures.count += 1
        return original.call(this, event, ...args)
      }
    }),
  )
  return failures
}

function sizeOf(cache: object): unknown {
  return (cache as { size?: unknown }).size
}
