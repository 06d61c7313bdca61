import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import { until } from '@data20/dev-services'
import t from 'tap'
import { assertAgreement, listen, perform, REQUEST_LABELS } from './helpers.ts'
import { buildApp } from './traffic/app.ts'
import { Exposition, settledExposition, sorted } from './traffic/exposition.ts'
import { http2Exchanges } from './traffic/http2.ts'
import { Ledger } from './traffic/ledger.ts'

t.test('each kind of exchange over HTTP/2 is counted as the client saw it', async (t) => {
  for (const [name, exchange] of Object.entries(http2Exchanges)) {
    await t.test(name, async (t) => {
      const { app, port } = await listen(t, await buildApp({}, { http2: true }))
      const session = http2.connect(`http://127.0.0.1:${port}`)
      t.teardown(() => session.close())
      const ledger = new Ledger()
      await perform(name, exchange(session, ledger))
      assertAgreement(t, await settledExposition(app), ledger)
    })
  }
})

t.test(
  'a stream that is closed without an error, and a connection that is reset, count as the client leaving',
  async (t) => {
    const app = await buildApp({}, { http2: true })
    const { port } = await listen(t, app)
    const socket = net.connect(port, '127.0.0.1')
    const session = http2.connect(`http://127.0.0.1:${port}`, { createConnection: () => socket })
    session.on('error', () => {})
    const [slow, endless, closed] = ['/slow', '/endless', '/endless'].map((path) => session.request({ ':path': path }))
    for (const stream of [slow!, endless!, closed!]) stream.on('error', () => {})
    await Promise.all([once(endless!, 'data'), once(closed!, 'data')])
    const aborted = async () => {
      const exposition = new Exposition((await app.metrics.expose()).body.toString())
      return sorted(exposition.counts('http_requests_aborted_total', ['endpoint', 'phase']))
    }

    // Node.js does not report the close of this one while the connection lasts.
    closed!.close(http2.constants.NGHTTP2_NO_ERROR)
    await until('the closed stream to be counted', async () => (await aborted()).length > 0)
    t.strictSame(await aborted(), [['/endless mid_response', 1]])

    socket.resetAndDestroy()
    const exposition = await settledExposition(app)
    t.strictSame(sorted(exposition.counts('http_requests_total', REQUEST_LABELS)), [
      ['/endless GET 200', 2],
      ['/slow GET 499', 1],
    ])
    t.strictSame(await aborted(), [
      ['/endless mid_response', 2],
      ['/slow before_headers', 1],
    ])
  },
)

t.test('clients that send GOAWAY and leave keep nothing in flight', async (t) => {
  const app = await buildApp({}, { http2: true })
  // Node.js retains the sessions too.
  const sessions: http2.ServerHttp2Session[] = []
  app.server.on('session', (session) => sessions.push(session))
  app.addHook('preClose', async () => {
    for (const session of sessions) session.destroy()
  })
  let begun = 0
  app.get('/', async () => {
    begun += 1
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 20))
    return 'x'.repeat(1000)
  })
  const { port } = await listen(t, app)
  for (let count = 0; count < 40; count += 1) {
    const session = http2.connect(`http://127.0.0.1:${port}`)
    session.on('error', () => {})
    for (let request = 0; request < 30; request += 1) {
      session
        .request({ ':path': '/' })
        .on('error', () => {})
        .resume()
    }
    // The clients leave at as many different moments; none of them is waited for.
    await new Promise((resolve) => setTimeout(resolve, 2 + (count % 25)))
    session.destroy()
  }
  const exposition = await settledExposition(app)
  t.strictSame([...exposition.counts('http_requests_in_flight', ['endpoint'])], [])
  t.equal(exposition.counts('http_requests_total', ['endpoint']).get('/'), begun)
})
