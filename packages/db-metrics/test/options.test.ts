import Fastify from 'fastify'
import t from 'tap'
import { type DbMetricsOptions, dbMetrics } from '../src/index.ts'

t.test('options that cannot work fail at register', async (t) => {
  for (const options of [
    { slowQuerySeconds: -1 },
    { slowQuerySeconds: Number.NaN },
    { upCheckMs: -1 },
    { upTimeoutMs: 0 },
    { upTimeoutMs: 2 ** 31 },
    { buckets: [1, 0.5] },
    { pools: { main: {} as never } },
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
