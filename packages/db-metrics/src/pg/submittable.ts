/**
 * What pg accepts as a query: a string, a configuration, or an object that submits itself (a query, a cursor, a
 * stream).
 *
 * @module
 */
import { patch } from '@data20/metrics-core/plugin'

/** Returns true for an object that submits itself. */
export function isSubmittable(query: unknown): query is object {
  return typeof (query as { submit?: unknown } | null | undefined)?.submit === 'function'
}

/** Returns true for a configuration that carries its callback. */
export function hasCallback(query: unknown): query is { callback: unknown } & object {
  return typeof (query as { callback?: unknown } | null | undefined)?.callback === 'function'
}

/** Returns the SQL of whatever `query` accepts. A stream keeps it in its cursor. */
export function textOf(query: unknown): unknown {
  if (typeof query !== 'object' || query === null) return query
  const { text, cursor } = query as { text?: unknown; cursor?: { text?: unknown } }
  return text ?? cursor?.text
}

/** Returns the name of a prepared statement, or undefined. */
export function nameOf(query: unknown): unknown {
  return typeof query === 'object' ? (query as { name?: unknown } | null)?.name : undefined
}

/** Calls `submitted` when pg sends the query. */
export function watchSubmit(query: object, submitted: () => void): void {
  const putBack = patch(query, 'submit', (original) => {
    return function submit(...args) {
      putBack()
      submitted()
      return original.apply(this, args)
    }
  })
}

/** Calls `ended` when pg tells the object that its query is done, and then leaves the object as it was. */
export function watchSubmittable(submittable: object, ended: (error: unknown) => void): void {
  const restore = [
    patch(submittable, 'handleReadyForQuery', (original) => {
      return function handleReadyForQuery(...args) {
        try {
          return original.apply(this, args)
        } finally {
          // After the original: it calls `handleError` for a row that could not be parsed.
          end(undefined)
        }
      }
    }),
    patch(submittable, 'handleError', (original) => {
      return function handleError(...args) {
        end(args[0])
        return original.apply(this, args)
      }
    }),
  ]

  function end(error: unknown): void {
    for (const putBack of restore) putBack()
    ended(error)
  }
}
