/**
 * Minutes of every kind of traffic at once: exchanges with an exact ledger on one application; autocannon, and clients
 * and servers that destroy connections, on another. `SECONDS=60 pnpm --filter @data20/http-metrics soak` runs for one
 * minute instead of ten.
 */
import http from 'node:http'
import net, { type AddressInfo, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import autocannon from 'autocannon'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { buildApp } from '../test/traffic/app.ts'
import type { Client } from '../test/traffic/client.ts'
import { settledExposition, sorted } from '../test/traffic/exposition.ts'
import { http1Exchanges } from '../test/traffic/http1.ts'
import { Ledger } from '../test/traffic/ledger.ts'
import { upgradeExchanges } from '../test/traffic/upgrade.ts'

const SECONDS = Number(process.env.SECONDS ?? 600)
/** Growth of the heap after garbage collection, from a tenth of the time to its end. */
const MAX_GROWTH_BYTES = 3 * 1024 * 1024
const REQUEST_LABELS = ['endpoint', 'method', 'status']

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

t.test(`${SECONDS} s of traffic: sums are equal, nothing is in flight, memory is flat`, async (t) => {
  const [exact, wild] = [await buildApp(), await buildApp({ sizes: true })]
  t.teardown(() => Promise.all([exact.close(), wild.close()]))
  await Promise.all([exact, wild].map((app) => app.listen({ port: 0, host: '127.0.0.1' })))
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 })
  t.teardown(() => agent.destroy())

  // The requests that the wild application gets, counted by its server.
  let asked = 0
  wild.server.on('request', () => {
    asked += 1
  })
  const end = Date.now() + SECONDS * 1000
  const ledger = new Ledger()
  const heap: number[] = []
  const client = { app: exact, agent, port: portOf(exact) }
  const lanes = Array.from({ length: 8 }, () => walk(client, ledger, end))
  const stopAttacks = attack(wild)
  const observer = setInterval(observe, Math.max(1000, SECONDS * 50))
  await Promise.all([...lanes, fire(portOf(wild))])
  clearInterval(observer)
  stopAttacks()

  const wildExposition = await settledExposition(wild)
  const total = sum(wildExposition.counts('http_requests_total', REQUEST_LABELS))
  t.comment(`${total} wild requests, ${sum(ledger.requests)} by the ledger, ${sum(ledger.parserErrors)} parser errors`)
  t.equal(total, asked, 'every request that the server saw is counted')
  t.equal(sum(wildExposition.counts('http_request_duration_seconds_count', ['endpoint'])), asked)
  t.equal(sum(wildExposition.counts('http_response_size_bytes_count', ['endpoint'])) > 0, true)

  const exactExposition = await settledExposition(exact)
  t.strictSame(sorted(exactExposition.counts('http_requests_total', REQUEST_LABELS)), sorted(ledger.requests))
  t.strictSame(
    sorted(exactExposition.counts('http_requests_aborted_total', ['endpoint', 'method', 'phase'])),
    sorted(ledger.aborted),
  )
  t.strictSame(sorted(exactExposition.counts('http_parser_errors_total', ['code'])), sorted(ledger.parserErrors))

  const growth = Math.min(...heap.slice(-3)) - heap[1]!
  t.comment(`heap in MB: ${heap.map((bytes) => (bytes / 1048576).toFixed(1)).join(' ')}`)
  t.ok(growth < MAX_GROWTH_BYTES, `the heap grew by ${(growth / 1048576).toFixed(1)} MB`)

  function observe(): void {
    collectGarbage()
    heap.push(process.memoryUsage().heapUsed)
    const left = Math.max(0, Math.round((end - Date.now()) / 1000))
    process.stderr.write(`${left} s left, ${asked} wild requests, ${sum(ledger.requests)} by the ledger\n`)
  }
})

t.test('100,000 distinct URLs and 1,000 distinct methods add no series', async (t) => {
  const app = await buildApp()
  t.teardown(() => app.close())
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  await send(port, ['GET /nowhere', 'GET /fast/1', 'PURGE /x', 'GET /fast/%zz'])
  const before = (await settledExposition(app)).samples.length

  for (let batch = 0; batch < 1000; batch += 1) {
    const lines = Array.from({ length: 50 }, (_, index) => `/nowhere/${batch}-${index}?q=${index}`)
    await send(port, [
      ...lines.map((path) => `GET ${path}`),
      ...lines.map((path) => `GET /fast${path.replaceAll('/', '_')}`),
    ])
  }
  for (let index = 0; index < 1000; index += 1) await send(port, [`METHOD${index} /`])

  const exposition = await settledExposition(app)
  t.equal(exposition.samples.length, before)
  t.equal(sum(exposition.counts('http_requests_total', REQUEST_LABELS)), 100_004)
  t.equal(sum(exposition.counts('http_parser_errors_total', ['code'])), 1000)
})

function portOf(app: FastifyInstance): number {
  return (app.server.address() as AddressInfo).port
}

/** Performs exchanges of every kind by chance, until a time of `Date.now()`. */
async function walk(client: Client, ledger: Ledger, end: number): Promise<void> {
  const all = Object.values({ ...http1Exchanges, ...upgradeExchanges })
  while (Date.now() < end) {
    const exchange = all[Math.floor(Math.random() * all.length)]!
    await exchange(client, ledger)
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 20))
  }
}

/** Sends requests at a steady rate, until the time of the soak is over. */
async function fire(port: number): Promise<void> {
  const json = { 'content-type': 'application/json' }
  await autocannon({
    url: `http://127.0.0.1:${port}`,
    connections: 10,
    duration: SECONDS,
    overallRate: 500,
    // In a thread with a heap of its own: it retains memory for each connection that it lost.
    workers: 1,
    requests: [
      { path: '/fast/1' },
      { path: '/nowhere' },
      { path: '/error' },
      { path: '/large' },
      { path: '/events' },
      { path: '/timeout' },
      { path: '/fast/1', method: 'OPTIONS' },
      { path: '/validated', method: 'POST', headers: json, body: '{"n":1}' },
      { path: '/validated', method: 'POST', headers: json, body: '{"n":' },
      { path: '/limited', method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x'.repeat(500) },
    ],
  })
}

/** Destroys connections of an application by chance, from both ends. The function returned stops it. */
function attack(app: FastifyInstance): () => void {
  const sockets = new Set<Socket>()
  app.server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  const timers = [setInterval(kill, 20), setInterval(hangUp, 50)]
  return () => {
    for (const timer of timers) clearInterval(timer)
    for (const socket of sockets) socket.destroy()
  }

  function kill(): void {
    const [socket] = [...sockets].sort(() => Math.random() - 0.5)
    if (Math.random() < 0.5) socket?.destroy()
    else socket?.resetAndDestroy()
  }

  /** A client that sends a request and leaves at once. */
  function hangUp(): void {
    const path = ['/slow', '/endless', '/large', '/fast/1'][Math.floor(Math.random() * 4)]
    const socket = net.connect(portOf(app), '127.0.0.1')
    socket.on('error', () => {})
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
    setTimeout(() => socket.destroy(), Math.random() * 30)
  }
}

/** Sends pipelined requests on one connection. Resolves when the server has closed it. */
function send(port: number, requests: string[]): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.on('close', () => resolve())
    socket.resume()
    const last = requests.length - 1
    const text = requests.map((line, index) => {
      const connection = index === last ? 'Connection: close\r\n' : ''
      return `${line} HTTP/1.1\r\nHost: x\r\nX-Hostile: "\\{}${index}\r\n${connection}\r\n`
    })
    socket.write(text.join(''))
  })
}

function sum(counts: Map<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0)
}
