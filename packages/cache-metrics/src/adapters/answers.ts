/**
 * What the answers of caches mean.
 *
 * @module
 */
import type { Result } from '../metrics.ts'

/** Returns how a lookup of one key ended. */
export function resultOf(value: unknown, nullIsMiss: boolean): Result {
  return value === undefined || (nullIsMiss && value === null) ? 'miss' : 'hit'
}

/**
 * Returns the values of an answer to several keys: those of an array, or those that a Map or an object has for them.
 * Entries with a key and a value, as unstorage returns them, are their values.
 */
export function valuesOf(answer: unknown, keys: unknown): unknown[] {
  if (Array.isArray(answer)) return answer.map((value) => (isEntry(value) ? value.value : value))
  const list = Array.isArray(keys) ? keys : []
  if (answer instanceof Map) return list.map((key) => answer.get(key))
  if (typeof answer === 'object' && answer !== null) return list.map((key) => (answer as Record<string, unknown>)[key])
  return list.map(() => answer)
}

/** Returns how many values a deletion removed: caches answer with a boolean, booleans, or a number. */
export function deletedOf(answer: unknown, keys: unknown): number {
  if (typeof answer === 'number') return Math.max(0, answer)
  if (Array.isArray(answer)) return answer.filter(Boolean).length
  if (answer !== true) return 0
  return Array.isArray(keys) ? keys.length : 1
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

function isEntry(value: unknown): value is { value: unknown } {
  if (typeof value !== 'object' || value === null) return false
  return 'key' in value && 'value' in value && Object.keys(value).length === 2
}
