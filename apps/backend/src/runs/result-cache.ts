/**
 * Results of earlier runs. The same tool, parameters and documents give the same result.
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

/** The cache of results. The least recently used is evicted first. */
export interface ResultCache {
  /** The cache itself, for its metrics. */
  readonly entries: LRUCache<string, CachedResult>
  /**
   * Resolves to the key of a run on the documents as they are now, `undefined` when they cannot be listed. Never
   * rejects.
   */
  keyOf(tool: string, parameters: Record<string, unknown>): Promise<string | undefined>
}

/** Makes a cache of up to `maxBytes` of JSON. With 0 it keeps nothing. */
export function createResultCache(pool: ToolPool, maxBytes: number): ResultCache {
  const entries = new LRUCache<string, CachedResult>({
    // LRUCache throws for a size of 0. In one byte it keeps nothing.
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

/** Returns equal values for parameters that differ in their order only. */
function canonical(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(canonical)
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return members.map(([name, member]) => [name, canonical(member)])
}
