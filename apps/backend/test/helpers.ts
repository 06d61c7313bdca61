/** What the tests of the backend have in common: applications, processes, and what they say of themselves. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { readValue as readSeries, temporaryFolder, until } from '@data20/dev-services'
import type { FastifyInstance } from 'fastify'
import pg from 'pg'
import type { Test } from 'tap'
import './threads.ts'
import { buildApp } from '../dist/app.js'
import { readConfig } from '../dist/config.js'

export { sleep, temporaryFolder, until }

/** A corpus on which every tool answers within milliseconds. */
export const SMALL = fileURLToPath(new URL('fixtures/small', import.meta.url))
export const SERVER = fileURLToPath(new URL('../dist/server.js', import.meta.url))
export const WORKER = fileURLToPath(new URL('../dist/worker-server.js', import.meta.url))

export type Environment = Record<string, string>

/** The application in this process. */
export async function build(t: Test, env: Environment): Promise<FastifyInstance> {
  const app = await buildApp(readConfig({ LOG_LEVEL: 'silent', DOCS_DIR: SMALL, ...env }))
  t.teardown(() => app.close())
  return app
}

export function run(app: FastifyInstance, body: unknown) {
  return app.inject({ method: 'POST', url: '/api/run', payload: body as object })
}

/** The value of one series, which has to be there. */
export async function readValue(app: FastifyInstance, series: string): Promise<number> {
  const { body } = await app.inject('/metrics')
  const value = readSeries(body, series)
  if (value === undefined) throw new Error(`Expected a series ${series}`)
  return value
}

/** Documents of random words: 30,000 words a megabyte. */
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

/** A database of one's own on a server that others use too. */
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
export interface BackendProcess {
  child: ChildProcess
  output: { stdout: string; stderr: string }
  /** Resolves to the address when it listens; throws with what it wrote when it ends instead. */
  url(): Promise<string>
  /** Sends a signal and resolves to the exit code. */
  end(signal: NodeJS.Signals): Promise<number | null>
}

/** Starts `server.js` or `worker-server.js` with this environment and no other. */
export function start(t: Test, file: string, env: Environment, cwd = temporaryFolder(t, 'process')): BackendProcess {
  const child = spawn(process.execPath, [file], { cwd, env: { PATH: process.env.PATH, LOG_LEVEL: 'warn', ...env } })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (data) => {
    output.stdout += data
  })
  child.stderr.on('data', (data) => {
    output.stderr += data
  })
  // Gracefully, since a killed one leaves its PostgreSQL to the next.
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) await end('SIGTERM')
  })
  return { child, output, url, end }

  async function url(): Promise<string> {
    await until(`${path.basename(file)} to listen`, () => {
      if (child.exitCode !== null) throw new Error(`it ended: ${output.stdout}${output.stderr}`)
      return output.stdout.includes('Ctrl-C')
    })
    return /http:\/\/[^/\s]+(?=\/)/.exec(output.stdout)![0]
  }

  async function end(signal: NodeJS.Signals): Promise<number | null> {
    const exited = once(child, 'exit')
    child.kill(signal)
    const [code] = await exited
    return code
  }
}
