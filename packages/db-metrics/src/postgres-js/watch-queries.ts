/**
 * Tells of each query of postgres.js that it is asked for, sent and over.
 *
 * @module
 */
import { patch } from '@data20/metrics-core/plugin'
import type { Backend, Query } from './pool.ts'

/** What is told of one query. */
export interface QueryWatcher {
  /** postgres.js sends the query on a connection; once more where it has to prepare it again. */
  sent(backend: Backend): void
  /** The query is over. Called directly before its caller learns it. */
  ended(error: unknown, result?: unknown): void
}

/** Returns what is told of a query, or undefined for a query that does not matter. */
export type Watch = (query: Query) => QueryWatcher | undefined

/** Those who watch the queries of a class, of which each build of postgres.js has its own. */
const watchesOf = new Map<object, { watches: Set<Watch>; putBack: () => void }>()

/**
 * Watches the queries of a class from when they are asked for. The function returned stops it. The method `handle` of
 * the class is replaced meanwhile: postgres.js keeps its pool in closures, so that no object of it could be patched.
 */
export function watchQueries(prototype: object, watch: Watch): () => void {
  const known = watchesOf.get(prototype) ?? { watches: new Set(), putBack: patchHandle(prototype) }
  watchesOf.set(prototype, known)
  known.watches.add(watch)
  return () => {
    known.watches.delete(watch)
    if (known.watches.size > 0) return
    watchesOf.delete(prototype)
    known.putBack()
  }
}

function patchHandle(prototype: object): () => void {
  return patch(prototype, 'handle', (original) => {
    return function handle(...args) {
      const query = this as Query
      // It is called by each `then`, and sends the query at the first time only.
      if (!query.executed) {
        for (const watch of watchesOf.get(prototype)?.watches ?? []) follow(query, watch(query))
      }
      return original.apply(this, args)
    }
  })
}

function follow(query: Query, watcher: QueryWatcher | undefined): void {
  if (watcher === undefined) return
  intercept(query, 'state', {
    write(backend) {
      if (backend) watcher.sent(backend as Backend)
    },
  })
  intercept(query, 'reject', { read: (reject) => before(reject, (error) => watcher.ended(error ?? new Error())) })
  intercept(query, 'resolve', {
    read: (resolve) =>
      before(resolve, (result) => {
        // COPY resolves with a stream first, and once more when it is done.
        if (typeof (result as { pipe?: unknown } | null)?.pipe !== 'function') watcher.ended(undefined, result)
      }),
  })
}

interface Interception {
  read?: (value: unknown) => unknown
  write?: (value: unknown) => void
}

/** Sees the reads and writes of a property. A cursor writes `resolve` and `reject` for each step. */
function intercept(query: Query, name: 'state' | 'resolve' | 'reject', { read, write }: Interception): void {
  const known = Object.getOwnPropertyDescriptor(query, name)!
  let value: unknown = known.value
  Object.defineProperty(query, name, {
    configurable: true,
    enumerable: known.enumerable ?? true,
    get() {
      const current = known.get === undefined ? value : known.get.call(query)
      return read === undefined ? current : read(current)
    },
    set(next) {
      if (known.set === undefined) value = next
      else known.set.call(query, next)
      write?.(next)
    },
  })
}

function before(method: unknown, call: (outcome: unknown) => void): (outcome: unknown) => unknown {
  return (outcome) => {
    call(outcome)
    return (method as (outcome: unknown) => unknown)(outcome)
  }
}
