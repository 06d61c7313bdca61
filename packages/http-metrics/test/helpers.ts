/** What several test files share: listening applications, connections, and the comparison with the ledger. */
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { buildApp } from './traffic/app.ts'
import type { Client, Exchange } from './traffic/client.ts'
import { type Exposition, settledExposition, sorted } from './traffic/exposition.ts'
import { Ledger } from './traffic/ledger.ts'

export const REQUEST_LABELS = ['endpoint', 'method', 'status']

/** Lets an application listen. The end of the test closes it. */
export async function listen(t: Test, app: FastifyInstance): Promise<Client> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 20 })
  t.teardown(async () => {
    agent.destroy()
    await app.close()
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { app, agent, port: (app.server.address() as AddressInfo).port }
}

/** Opens a connection to a server, which begins to listen if it does not yet. */
export async function connectTo(server: net.Server): Promise<net.Socket> {
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening')
  return net.connect((server.address() as AddressInfo).port, '127.0.0.1')
}

/** Returns the status of a GET, once its response is read. */
export async function statusOf({ port, agent }: Client, path: string): Promise<number | undefined> {
  const [response] = (await once(http.get({ port, host: '127.0.0.1', agent, path }), 'response')) as [
    http.IncomingMessage,
  ]
  await once(response.resume(), 'end')
  return response.statusCode
}

/** Performs an exchange. Its name is in the error when it fails. */
export async function perform(name: string, exchange: Promise<void>): Promise<void> {
  await exchange.catch((cause: Error) => {
    throw new Error(`${name}: ${cause.message}`, { cause })
  })
}

/** Performs each kind of exchange in an application of its own, and compares. */
export async function assertEachAlone(t: Test, exchanges: Record<string, Exchange>): Promise<void> {
  for (const [name, exchange] of Object.entries(exchanges)) {
    await t.test(name, async (t) => {
      const client = await listen(t, await buildApp())
      const ledger = new Ledger()
      await perform(name, exchange(client, ledger))
      assertAgreement(t, await settledExposition(client.app), ledger)
    })
  }
}

/** Asserts that an exposition says what the client's ledger says. */
export function assertAgreement(t: Test, exposition: Exposition, ledger: Ledger): void {
  t.strictSame(sorted(exposition.counts('http_requests_total', REQUEST_LABELS)), sorted(ledger.requests))
  t.strictSame(
    sorted(exposition.counts('http_requests_aborted_total', ['endpoint', 'method', 'phase'])),
    sorted(ledger.aborted),
  )
  t.strictSame(sorted(exposition.counts('http_parser_errors_total', ['code'])), sorted(ledger.parserErrors))
  t.strictSame(
    sorted(exposition.counts('http_errors_total', REQUEST_LABELS)),
    sorted([...ledger.requests].filter(([key]) => Number(key.split(' ')[2]) >= 400)),
  )
  const byRoute = ['endpoint', 'method']
  const durations = exposition.counts('http_request_duration_seconds_count', byRoute)
  const streams = exposition.counts('http_stream_duration_seconds_count', byRoute)
  for (const [key, count] of streams) durations.set(key, (durations.get(key) ?? 0) + count)
  t.strictSame(
    sorted(durations),
    sorted(exposition.counts('http_requests_total', byRoute)),
    'each request has one duration',
  )
  const ofStreams = [...ledger.requests].filter(([key]) => /^\/event|^\/socket .* 101$/.test(key))
  t.strictSame(
    sorted(streams),
    sorted(ofStreams.map(([key, count]) => [key.replace(/ \d+$/, ''), count])),
    'event streams and upgraded connections have that of a stream',
  )
  t.equal(exposition.counts('http_streams_open', ['endpoint']).size, 0)
  t.equal(exposition.counts('http_requests_in_flight', ['endpoint']).size, 0)
}
