/**
 * Methods that look a value up and load it when it is missing: `wrap` of cache-manager, `getOrSet` of BentoCache.
 *
 * @module
 */
import type { Method } from '@data20/metrics-core/plugin'
import type { CacheEvents } from '../adapter.ts'
import type { Result } from '../metrics.ts'

/** The names of such methods. */
export const LOADERS: readonly string[] = ['wrap', 'getOrSet', 'getOrSetForever']

type Loader = (...args: unknown[]) => unknown

/** What happened to the loader of one lookup. */
interface Load {
  state: 'unused' | 'running' | 'loaded' | 'failed'
  /** The lookup has no answer. */
  isRejected?: boolean
}

/** The lookups of one key that are under way. */
interface Group {
  lookups: number
  /** Loads that have begun. */
  loads: number
  /** Loads that have not ended. */
  running: number
}

/**
 * Wraps such a method. The lookup is a miss when its loader runs and its value is the answer. It is stale when an
 * answer comes although the loader still runs or has failed, and coalesced when another lookup of the key loaded
 * meanwhile.
 */
export function countLoads({ answered, loaded }: CacheEvents): (original: Method) => Method {
  const groups = new Map<unknown, Group>()

  return (original) =>
    function (...args) {
      const key = keyOf(args)
      const group = groups.get(key) ?? { lookups: 0, loads: 0, running: 0 }
      groups.set(key, group)
      group.lookups += 1
      // A load that is under way counts as one that begins while this lookup waits.
      const loadsBefore = group.running > 0 ? -1 : group.loads
      const isCoalesced = () => group.loads > loadsBefore
      const load: Load = { state: 'unused' }
      const result = original.apply(
        this,
        withLoader(args, (loader) => measure(loader, group, load)),
      )
      Promise.resolve(result).then(
        () => end(answerOf(load, isCoalesced())),
        () =>
          end(
            load.state === 'unused' && !isCoalesced()
              ? 'error'
              : answerOf({ ...load, isRejected: true }, isCoalesced()),
          ),
      )
      return result

      function end(result: Result): void {
        answered(result)
        group.lookups -= 1
        if (group.lookups === 0) groups.delete(key)
      }
    }

  function measure(loader: Loader, group: Group, load: Load): Loader {
    return async function (this: unknown, ...args) {
      const startMs = performance.now()
      load.state = 'running'
      group.loads += 1
      group.running += 1
      try {
        const value = await loader.apply(this, args)
        load.state = 'loaded'
        return value
      } catch (error) {
        load.state = 'failed'
        throw error
      } finally {
        group.running -= 1
        loaded((performance.now() - startMs) / 1000)
      }
    }
  }
}

function answerOf({ state, isRejected }: Load, isCoalesced: boolean): Result {
  if (state === 'unused') return isCoalesced ? 'coalesced' : 'hit'
  return state === 'loaded' || isRejected ? 'miss' : 'stale'
}

/** The key is the first argument, or its property `key`. */
function keyOf([first]: unknown[]): unknown {
  return typeof first === 'object' && first !== null ? (first as { key?: unknown }).key : first
}

/** The loader is the first function among the arguments, or the property `factory` of the first one. */
function withLoader(args: unknown[], wrap: (loader: Loader) => Loader): unknown[] {
  const [first, ...rest] = args
  const { factory } = (first ?? {}) as { factory?: unknown }
  if (typeof factory === 'function') return [{ ...(first as object), factory: wrap(factory as Loader) }, ...rest]
  const index = args.findIndex((argument) => typeof argument === 'function')
  return index === -1 ? args : args.with(index, wrap(args[index] as Loader))
}
