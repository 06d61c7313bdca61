/** Sends every kind of traffic to a backend, and counts it. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { until } from '@data20/dev-services'
import { ANSWER_MS, type Backend } from './backend.ts'
import type { Traffic } from './specification.ts'

const TOOLS = ['build_graph', 'search', 'extract_keywords', 'find_duplicates', 'check_links', 'document_stats']

/** Sends requests, and counts them. */
type Client = ReturnType<typeof createClient>

/**
 * Creates each series that does not start at 0, since the value with which a counter first appears is in no rate. It
 * must end before Prometheus scrapes for the first time.
 */
export async function warmUp(backend: Backend): Promise<Traffic> {
  const client = createClient(backend.url)
  await client.runQueued('search')
  await sendFailing(client, backend, 1)
  return client.traffic
}

/** Sends requests of every kind and resolves to their counts, once their queued runs have ended. */
export async function drive(backend: Backend): Promise<Traffic> {
  const client = createClient(backend.url)
  const { traffic, add, get, run, runQueued } = client
  for (let count = 0; count < 40; count++) {
    await get('/api/tools')
    add(traffic.lookups, `tool_registry ${count === 0 ? 'miss' : 'hit'}`)
  }
  for (const tool of [...TOOLS, ...TOOLS, ...TOOLS]) {
    const { cached } = await run(tool)
    add(traffic.lookups, `tool_results ${cached ? 'hit' : 'miss'}`)
    if (!cached) add(traffic.executions, `${tool} completed`)
  }
  // The result replaces the cached one.
  await run('search', { cache: false })
  add(traffic.executions, 'search completed')
  for (const tool of ['search', 'search', 'document_stats', 'document_stats', 'document_stats']) await runQueued(tool)
  // Two attempts: the first one fails and is retried.
  await backend.withoutDocuments(() => runQueued('search', 2))
  await sendFailing(client, backend, 12)
  return traffic
}

/** Sends `count` failing requests of each kind; each kind has a series of its own. */
async function sendFailing(client: Client, backend: Backend, count: number): Promise<void> {
  const { traffic, add, get, run, leave, garble } = client
  for (let index = 0; index < count; index++) {
    await get('/missing', 'unmatched')
    await run('no_such_tool')
    await run('search', { params: { query: '' } })
    await leave()
    await garble()
  }
  // The failing queries are those that record the runs.
  await backend.withoutDocuments(() =>
    backend.withoutTable(async () => {
      for (let index = 0; index < count; index++) {
        await run('build_graph', { cache: false })
        add(traffic.executions, 'build_graph failed')
      }
      // Answered once the records are written or have failed. `none` is not a valid id, so it queries nothing.
      await get('/api/runs/none', '/api/runs/:id')
    }),
  )
}

function createClient(url: string) {
  const traffic: Traffic = { requests: {}, executions: {}, tasks: {}, lookups: {} }
  return { traffic, add, get, run, runQueued, leave, garble }

  function add(counts: Record<string, number>, key: string, count = 1): void {
    counts[key] = (counts[key] ?? 0) + count
  }

  async function get(path: string, endpoint = path): Promise<{ status: string }> {
    const response = await fetch(url + path, { signal: answered() })
    add(traffic.requests, `GET ${endpoint} ${response.status}`)
    return (await response.json()) as { status: string }
  }

  async function run(tool: string, more: object = {}): Promise<{ run_id: string; cached?: boolean }> {
    const params = tool === 'search' ? { query: 'guide' } : {}
    const response = await fetch(`${url}/api/run`, {
      method: 'POST',
      signal: answered(),
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ tool, params, ...more }),
    })
    add(traffic.requests, `POST /api/run ${response.status}`)
    return (await response.json()) as { run_id: string; cached?: boolean }
  }

  /** Resolves when the run has ended, after `attempts` attempts. */
  async function runQueued(tool: string, attempts = 1): Promise<void> {
    const { run_id } = await run(tool, { mode: 'queued' })
    const status = await until(`the run of ${tool} to end`, async () => {
      const run = await get(`/api/runs/${run_id}`, '/api/runs/:id')
      return /completed|failed/.test(run.status) && run.status
    })
    add(traffic.tasks, `${tool} ${status}`)
    add(traffic.executions, `${tool} ${status}`, attempts)
  }

  /** A client that disconnects before it has sent the whole request. */
  async function leave(): Promise<void> {
    const head = 'POST /api/run HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n'
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    // The answer 100 Continue shows that the request has begun.
    socket.write(`${head}expect: 100-continue\r\n\r\n`)
    await once(socket, 'data', { signal: answered() })
    socket.destroy()
    add(traffic.requests, 'POST /api/run 499')
  }

  /** Bytes that are not a request. */
  async function garble(): Promise<void> {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.end('garbled\r\n\r\n')
    socket.resume()
    await once(socket, 'close', { signal: answered() })
  }
}

function answered(): AbortSignal {
  return AbortSignal.timeout(ANSWER_MS)
}
