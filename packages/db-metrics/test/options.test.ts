import Fastify from 'fastify'
import t from 'tap'
import { type DbMetricsOptions, dbMetrics, type PoolAdapter } from '../src/index.ts'

t.test('options that cannot work fail at register', async (t) => {
  for (const options of [
    { slowQuerySeconds: -1 },
    { slowQuerySeconds: Number.NaN },
    { upCheckMs: -1 },
    { upTimeoutMs: 0 },
    { upTimeoutMs: 2 ** 31 },
    { buckets: [1, 0.5] },
    { queryNames: 'find-note' as never },
    { queryNames: [''] },
    { queryNameOf: () => 'a' },
    { queryNames: ['a'], queryNameOf: 'b' as never },
    { pools: { main: {} as never } },
    { adapters: [{ kind: 'a file' } as never] },
  ]) {
    await t.rejects(register(options), { code: 'METRICS_ERR_OPTION' }, JSON.stringify(options))
  }
  await register({ slowQuerySeconds: undefined as never, upCheckMs: undefined as never })
})

/** Registers the plugin in an application of its own. */
async function register(options: DbMetricsOptions): Promise<void> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(dbMetrics, options)
}

t.test('an option that does not exist fails with the name that is meant', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(async () => void (await app.register(dbMetrics, { pool: [] } as object)), {
    code: 'METRICS_ERR_UNKNOWN_OPTION',
    message: /db-metrics, got `pool`; did you mean `pools`/,
  })
})

t.test('an adapter of the application measures what it accepts', async (t) => {
  const store = { isClosed: false, read: (_key: string) => 'value' }
  const adapter: PoolAdapter<typeof store> = {
    kind: 'a store',
    accepts: (value): value is typeof store => (value as typeof store | undefined)?.read !== undefined,
    hasEnded: ({ isClosed }) => isClosed,
    measure(store, series, up) {
      const { read } = store
      store.read = (key) => {
        series.query('SELECT 1').count(0.25, undefined)
        up.proven()
        return read(key)
      }
      const restore = () => {
        store.read = read
      }
      return { readConnections() {}, isSaturated: () => false, ask: async () => {}, stop: restore, restore }
    },
  }
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(dbMetrics, { adapters: [adapter], pools: { main: store as never } })

  t.equal(store.read('a'), 'value')
  const { body } = await app.inject('/metrics')
  t.match(body, 'db_queries_total{operation="SELECT",pool="main"} 1\n')
  t.match(body, 'db_query_duration_seconds_sum{operation="SELECT",pool="main"} 0.25\n')
  t.match(body, 'db_up{pool="main"} 1\n')
  t.throws(() => app.dbMetrics.observe('other', {} as never), {
    message: /a store, or a pool of pg, or a pool of mysql2/,
  })
  store.isClosed = true
  t.notMatch((await app.inject('/metrics')).body, 'db_up{')
})
