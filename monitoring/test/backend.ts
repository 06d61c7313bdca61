/** Runs the backend of the workspace as a process, and can break parts of it. */
import { cpSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { type StartedProcess, startProcess, until } from '@data20/dev-services'
import pg from 'pg'
import type { Test } from 'tap'
import { MONITORING } from './helpers.ts'

const SERVER = join(MONITORING, '../apps/backend/dist/server.js')
const FIXTURE = join(MONITORING, '../apps/backend/test/fixtures/small')

/** A backend that has not answered by then hangs. */
export const ANSWER_MS = 30_000

export interface BackendOptions {
  /** Holds its documents and its data. */
  directory: string
  /** A server on which it gets a database of its own. */
  postgresUrl: string
  port: number
}

export interface Backend {
  port: number
  url: string
  start(): Promise<void>
  kill(): Promise<void>
  /** Every tool fails while `work` runs. */
  withoutDocuments(work: () => Promise<void>): Promise<void>
  /** Every query on runs fails while `work` runs. */
  withoutTable(work: () => Promise<void>): Promise<void>
}

export async function createBackend(t: Test, { directory, postgresUrl, port }: BackendOptions): Promise<Backend> {
  const url = `http://127.0.0.1:${port}`
  const documents = join(directory, 'documents')
  cpSync(FIXTURE, documents, { recursive: true })
  const databaseUrl = await createDatabase(t, postgresUrl)
  let server: StartedProcess | undefined
  let isOver = false
  t.teardown(() => {
    isOver = true
    return kill()
  })
  return { port, url, start, kill, withoutDocuments, withoutTable }

  async function start(): Promise<void> {
    if (isOver) throw new Error('The test is over')
    const env = {
      PORT: String(port),
      HOST: '127.0.0.1',
      DATA_DIR: join(directory, 'data'),
      DOCS_DIR: documents,
      DATABASE_URL: databaseUrl,
      REDIS_URL: '',
      LOG_LEVEL: 'silent',
      QUEUE_ATTEMPTS: '2',
      QUEUE_BACKOFF_MS: '0',
    }
    server = startProcess(t, SERVER, { env })
    const ask = () => fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(ANSWER_MS) })
    await until('the backend to be ready', async () => (await ask()).ok)
  }

  async function kill(): Promise<void> {
    await server?.end('SIGKILL')
  }

  async function withoutDocuments(work: () => Promise<void>): Promise<void> {
    renameSync(documents, `${documents}-away`)
    await work()
    renameSync(`${documents}-away`, documents)
  }

  async function withoutTable(work: () => Promise<void>): Promise<void> {
    await query(databaseUrl, 'ALTER TABLE data20.runs RENAME TO runs_away')
    await work()
    await query(databaseUrl, 'ALTER TABLE data20.runs_away RENAME TO runs')
  }
}

/** Creates a database that is dropped after the test, since the server may be shared. */
async function createDatabase(t: Test, serverUrl: string): Promise<string> {
  const name = `stack_${process.pid}`
  await query(serverUrl, `CREATE DATABASE ${name}`)
  t.teardown(() => query(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`))
  return Object.assign(new URL(serverUrl), { pathname: `/${name}` }).href
}

async function query(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}
