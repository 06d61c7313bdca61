/** Shared by the tests of the backend: applications, processes, documents, databases, and runs over the API. */
import { writeFileSync } from 'node:fs'
import net, { type AddressInfo, type Socket } from 'node:net'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  readValue as readSeries,
  type StartedProcess,
  startProcess,
  temporaryFolder,
  until,
} from '@data20/dev-services'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import pg from 'pg'
import type { Test } from 'tap'
import './threads.ts'
import backend from '../dist/app.js'
import { build as buildApplication } from '../dist/build.js'
import { readConfig } from '../dist/config.js'
// For the types of the decorators.
import '../dist/plugins/runs.js'

export { temporaryFolder, until }

/** Documents on which every tool answers within milliseconds. */
export const SMALL = fileURLToPath(new URL('fixtures/small', import.meta.url))
export const SERVER = fileURLToPath(new URL('../dist/server.js', import.meta.url))
export const WORKER_SERVER = fileURLToPath(new URL('../dist/worker-server.js', import.meta.url))

export type Environment = Record<string, string>

/** A run as `GET /api/runs/:id` answers it. */
export interface Run {
  run_id: string
  tool: string
  status: string
  attempts: number
  created_at: string
  started_at?: string
  finished_at?: string
  duration_ms?: number
  result?: unknown
  error?: { code: string; message: string; details?: unknown[] }
}

/** Builds the application in this process and closes it in the teardown. */
export async function build(
  t: Test,
  env: Environment,
  application: FastifyPluginAsync = backend,
): Promise<FastifyInstance> {
  const config = readConfig({ LOG_LEVEL: 'silent', DOCS_DIR: SMALL, ...env })
  const app = await buildApplication(config, application)
  t.teardown(() => app.close())
  return app
}

/** Listens on a free port, for what `inject` cannot do. */
export async function listen(app: FastifyInstance): Promise<{ port: number; url: string }> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  return { port, url: `http://127.0.0.1:${port}` }
}

export function run(app: FastifyInstance, body: unknown) {
  return app.inject({ method: 'POST', url: '/api/run', payload: body as object })
}

/** Options of `fetch` for a request with a JSON body. */
export function post(body: object): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

/** Sends `POST /api/run` over a connection that the test may destroy. */
export function postOverSocket(port: number, body: object): Socket {
  const json = JSON.stringify(body)
  const headers = `Host: x\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(json)}`
  const socket = net.connect(port, '127.0.0.1').on('error', () => {})
  socket.write(`POST /api/run HTTP/1.1\r\n${headers}\r\n\r\n${json}`)
  return socket
}

/** Resolves to the value of a series. Throws when the exposition does not have it. */
export async function readValue(app: FastifyInstance, series: string): Promise<number> {
  const { body } = await app.inject('/metrics')
  const value = readSeries(body, series)
  if (value === undefined) throw new Error(`Expected a series ${series}`)
  return value
}

export async function assertNothingRuns(t: Test, app: FastifyInstance): Promise<void> {
  const { body } = await app.inject('/metrics')
  const running = body.match(/^(tool_executions_active|http_requests_in_flight)\{.*\} [^0].*$/gm)
  t.equal(running, null, 'nothing is active or in flight')
}

/** Parameters with which a tool completes. */
export function paramsOf(tool: string): object {
  return tool === 'search' ? { query: 'guide' } : {}
}

/** Starts a queued run and resolves to its id. */
export async function enqueue(app: FastifyInstance, body: object): Promise<string> {
  const response = await run(app, { ...body, mode: 'queued' })
  if (response.statusCode !== 202) throw new Error(`expected 202, got ${response.statusCode} ${response.body}`)
  return response.json().run_id
}

export async function find(app: FastifyInstance, id: string): Promise<Run> {
  const response = await app.inject(`/api/runs/${id}`)
  if (response.statusCode !== 200) throw new Error(`expected 200, got ${response.statusCode} ${response.body}`)
  return response.json()
}

export function untilEnded(app: FastifyInstance, id: string): Promise<Run> {
  return until(`run ${id} to end`, async () => {
    const found = await find(app, id)
    return !['queued', 'running'].includes(found.status) && found
  }) as Promise<Run>
}

/** Resolves when a run of the tool executes in this process. */
export function untilActive(app: FastifyInstance, tool: string): Promise<true> {
  return until(`${tool} to execute`, async () => {
    return (await readValue(app, `tool_executions_active{tool_name="${tool}"}`)) === 1
  })
}

/** Writes documents of random words, 28 kB each, into a temporary folder. */
export function writeDocuments(t: Test, documents: number): string {
  const folder = temporaryFolder(t, 'documents')
  let state = 1
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return state % below
  }
  for (let document = 0; document < documents; document += 1) {
    let text = `# Document ${document}\n\n`
    for (let passage = 0; passage < 60; passage += 1) {
      text += `${Array.from({ length: 60 }, () => `word${random(5000)}`).join(' ')}\n\n`
    }
    writeFileSync(path.join(folder, `document-${document}.md`), text)
  }
  return folder
}

/** Creates a database for one test on a server that several share. */
export async function createDatabase(serverUrl: string): Promise<string> {
  const name = `test_${process.pid}_${++databases}`
  await query(serverUrl, `CREATE DATABASE ${name}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return url.href
}
let databases = 0

export async function query(
  url: string,
  text: string,
  values: unknown[] = [],
): Promise<Array<Record<string, unknown>>> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(text, values)).rows
  } finally {
    await client.end()
  }
}

/** A process of the backend. */
export interface BackendProcess extends StartedProcess {
  /** Resolves to the URL when the process listens. Rejects with what the process wrote when it ends instead. */
  url(): Promise<string>
}

/** Starts `server.js` or `worker-server.js` as users run them, with this environment and no other. */
export function start(t: Test, file: string, env: Environment, cwd = temporaryFolder(t, 'process')): BackendProcess {
  const started = startProcess(t, file, { cwd, env: { LOG_LEVEL: 'warn', ...env } })
  const { output, exited } = started
  return { ...started, url }

  async function url(): Promise<string> {
    const ended = exited.then((code) => {
      throw new Error(`${path.basename(file)} ended with code ${code}: ${output.stdout}${output.stderr}`)
    })
    await Promise.race([ended, until(`${path.basename(file)} to listen`, () => output.stdout.includes('Ctrl-C'))])
    return /http:\/\/[^/\s]+(?=\/)/.exec(output.stdout)![0]
  }
}
