/**
 * Results that can be given again: the same tool, parameters and documents give the same answer.
 *
 * @module
 */
import { disposeHook } from '@data20/cache-metrics'
import { LRUCache } from 'lru-cache'
import type { ToolPool } from '../knowledge/pool.ts'

/** The result of a run that completed, as JSON. */
export interface CachedResult {
  runId: string
  json: string
}

/** The cache of the results, least recently used first to go. */
export interface ResultCache {
  /** The cache itself, to be watched. */
  readonly entries: LRUCache<string, CachedResult>
  /** The key of a run on the documents as they are now; `undefined` where they cannot be listed. */
  keyOf(tool: string, parameters: Record<string, unknown>): Promise<string | undefined>
}

/** Makes a cache of `maxBytes` of JSON; one of 0 bytes keeps nothing. */
export function createResultCache(pool: ToolPool, maxBytes: number): ResultCache {
  const entries = new LRUCache<string, CachedResult>({
    // An LRUCache without a bound throws, and of one byte it keeps nothing.
    maxSize: Math.max(maxBytes, 1),
    sizeCalculation: ({ json }, key) => Buffer.byteLength(json) + Buffer.byteLength(key),
    dispose: disposeHook(),
  })
  return { entries, keyOf }

  async function keyOf(tool: string, parameters: Record<string, unknown>): Promise<string | undefined> {
    const fingerprint = await pool.fingerprint().catch(() => undefined)
    return fingerprint && JSON.stringify([tool, fingerprint, canonical(parameters)])
  }
}

/** The same for parameters that say the same in another order. */
function canonical(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(canonical)
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return members.map(([name, member]) => [name, canonical(member)])
}
