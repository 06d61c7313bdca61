/** What the tests of cache-metrics have in common. */
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { type CacheMetricsOptions, cacheMetrics, type ObservableCache } from '../src/index.ts'

export async function build(t: Test, options: CacheMetricsOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(cacheMetrics, options)
  return app
}

/** Returns the lines of our series, without those of metrics-core. */
export async function scrape(app: FastifyInstance): Promise<string[]> {
  const response = await app.inject('/metrics')
  return response.body.split('\n').filter((line) => /^cache_/.test(line))
}

/** Returns the series that are not zero, of the histogram only the count. `libraries.test.ts` compares the results. */
export async function nonZero(app: FastifyInstance): Promise<string[]> {
  return (await scrape(app)).filter((line) => !/ 0$|_bucket|_sum|_requests_total/.test(line))
}

export interface TestCache extends ObservableCache {
  get(key: string): unknown
  has(key: string): unknown
  set(key: string, value: unknown): unknown
  delete(key: string): unknown
}

export class SyncCache implements TestCache {
  readonly values: Record<string, unknown> = {}
  get(key: string): unknown {
    return this.values[key]
  }
  has(key: string): boolean {
    return key in this.values
  }
  set(key: string, value: unknown): this {
    this.values[key] = value
    return this
  }
  delete(key: string): boolean {
    const wasThere = this.has(key)
    Reflect.deleteProperty(this.values, key)
    return wasThere
  }
}

export class AsyncCache implements TestCache {
  readonly #cache = new SyncCache()
  async get(key: string): Promise<unknown> {
    await sleep(1)
    if (key === 'broken') throw new Error('connection lost')
    return this.#cache.get(key)
  }
  async has(key: string): Promise<boolean> {
    await sleep(1)
    return this.#cache.has(key)
  }
  async set(key: string, value: unknown): Promise<void> {
    this.#cache.set(key, value)
  }
  /** Returns the number of deleted keys, as Redis does. */
  async delete(key: string): Promise<number> {
    return this.#cache.delete(key) ? 1 : 0
  }
}
