import { once } from 'node:events'
import http from 'node:http'
import Fastify from 'fastify'
import t from 'tap'
import httpMetrics from '../src/index.ts'
import { listen } from './helpers.ts'
import { Exposition } from './traffic/exposition.ts'

for (const way of ['resetMetrics() of the registry', 'reset() of the gauge'] as const) {
  t.test(`${way} leaves the requests that are in flight`, async (t) => {
    const app = Fastify()
    await app.register(httpMetrics)
    const answers: Array<(text: string) => void> = []
    const slow = () => new Promise((resolve) => answers.push(resolve))
    // Two routes of one series.
    for (const url of ['/v1', '/v2']) app.get(url, { config: { metrics: { endpoint: '/slow' } } }, slow)
    const { port } = await listen(t, app)
    const inFlight = async () => {
      const exposition = new Exposition((await app.metrics.expose()).body.toString())
      return exposition.counts('http_requests_in_flight', ['endpoint']).get('/slow') ?? 0
    }
    const responses = ['/v1', '/v2', '/v2'].map(
      async (path) =>
        (await once(http.get({ port, host: '127.0.0.1', path, agent: false }), 'response')) as [http.IncomingMessage],
    )
    while (answers.length < 3) await new Promise(setImmediate)
    t.equal(await inFlight(), 3)

    if (way.startsWith('reset()'))
      (app.metrics.registry.getSingleMetric('http_requests_in_flight') as never as { reset(): void }).reset()
    else (app.metrics.registry as never as { resetMetrics(): void }).resetMetrics()
    t.equal(await inFlight(), 3)
    for (let left = 2; left >= 0; left -= 1) {
      answers.pop()!('done')
      while ((await inFlight()) > left) await new Promise(setImmediate)
      t.equal(await inFlight(), left)
    }
    for (const response of responses) (await response)[0].resume()
  })
}
