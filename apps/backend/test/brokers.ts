/** The brokers of the queue, each with what a test does to it without the backend. */
import { startPostgres, startRedis } from '@data20/dev-services'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { createDatabase, type Environment, query } from './helpers.ts'

/** A broker, asked without the backend. */
export interface Broker {
  /** The environment of a backend with a database and a queue of its own. */
  env(): Promise<Environment & { DATABASE_URL: string }>
  hasJob(env: Environment, id: string): Promise<boolean>
  loseEverything(env: Environment): Promise<void>
}

/** Starts PostgreSQL and Redis, and stops them in the teardown. */
export async function startBrokers(t: Test): Promise<Record<'PostgreSQL' | 'Redis', Broker>> {
  const [postgres, redis] = await Promise.all([startPostgres({ durable: false }), startRedis()])
  const asked = new Redis(redis.url)
  t.teardown(async () => {
    asked.disconnect()
    await Promise.all([postgres.stop(), redis.stop()])
  })
  const env = async () => ({ DATABASE_URL: await createDatabase(postgres.url), RECONCILE_MS: '300' })
  let queues = 0

  return {
    PostgreSQL: {
      env,
      async hasJob({ DATABASE_URL = '' }, id) {
        return (await query(DATABASE_URL, 'SELECT 1 FROM bullmq.job WHERE id = $1', [id])).length === 1
      },
      async loseEverything({ DATABASE_URL = '' }) {
        await query(DATABASE_URL, 'DELETE FROM bullmq.job')
      },
    },
    Redis: {
      env: async () => ({
        ...(await env()),
        REDIS_URL: redis.url,
        // Tests share a Redis that may belong to somebody else.
        QUEUE_NAME: `test-${process.pid}-${++queues}`,
      }),
      hasJob: async ({ QUEUE_NAME = '' }, id) => (await asked.exists(`bull:${QUEUE_NAME}:${id}`)) === 1,
      async loseEverything({ QUEUE_NAME = '' }) {
        const keys = await asked.keys(`bull:${QUEUE_NAME}:*`)
        if (keys.length > 0) await asked.del(keys)
      },
    },
  }
}

/** The labels of the queue. */
export function queueLabel({ QUEUE_NAME = 'runs' }: Environment): string {
  return `queue="${QUEUE_NAME}"`
}
