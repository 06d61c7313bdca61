/** Queued runs that wait and execute while things are killed. */
import { post, until } from '../helpers.ts'

/** Tools that take some tens of milliseconds, so that runs wait while others execute. */
const TOOLS = [
  { tool: 'find_duplicates' },
  { tool: 'search', params: { query: 'word1 word2' } },
  { tool: 'extract_keywords' },
  { tool: 'build_graph' },
]
const TIMEOUT_MS = 120_000

/** Starts queued runs, ten at a time. Resolves to the ids of those that were answered 202. */
export async function accept(url: string, count: number): Promise<string[]> {
  const ids: string[] = []
  let next = 0
  async function poster(): Promise<void> {
    while (next < count) {
      const body = { ...TOOLS[next++ % TOOLS.length], mode: 'queued' }
      const response = await fetch(`${url}/api/run`, post(body))
      const answer = (await response.json()) as { run_id: string }
      if (response.status === 202) ids.push(answer.run_id)
    }
  }
  await Promise.all(Array.from({ length: 10 }, poster))
  return ids
}

/** Runs that were accepted, and how many of them waited and executed at one moment. */
export interface Load {
  ids: string[]
  /** Runs that the API was asked for. */
  asked: number
  open: { queued: number; running: number }
}

/** Starts `count` queued runs, and more where they end as fast as they come, until some wait while others execute. */
export async function load(url: string, count: number): Promise<Load> {
  const ids = await accept(url, count)
  let asked = count
  let open = await countOpen(url)
  while (open.queued === 0 || open.running === 0) {
    ids.push(...(await accept(url, count)))
    asked += count
    open = await countOpen(url)
  }
  return { ids, asked, open }
}

/** Counts the runs that wait and that execute, 100 of each at most, when there are both or none waits any more. */
async function countOpen(url: string): Promise<{ queued: number; running: number }> {
  return await until('runs to wait and to run', async () => {
    const [queued, running] = await Promise.all([count('queued'), count('running')])
    return (queued === 0 || running > 0) && { queued, running }
  })

  async function count(status: string): Promise<number> {
    const response = await fetch(`${url}/api/runs?status=${status}&limit=100`)
    return ((await response.json()) as { runs: unknown[] }).runs.length
  }
}

/**
 * Resolves to the number of attempts when all runs have completed. Throws for a run that ended in another way or is not
 * known.
 */
export async function untilCompleted(url: string, ids: string[]): Promise<number> {
  const open = new Set(ids)
  let attempts = 0
  await until(
    `${ids.length} runs to complete`,
    async () => {
      for (const id of open) {
        const response = await fetch(`${url}/api/runs/${id}`)
        // A database that has just come back.
        if (response.status === 503) return false
        const run = (await response.json()) as { status: string; attempts: number; result?: unknown }
        if (run.status === 'queued' || run.status === 'running') return false
        if (run.status !== 'completed' || !run.result) throw new Error(`expected a result, got ${JSON.stringify(run)}`)
        attempts += run.attempts
        open.delete(id)
      }
      return true
    },
    TIMEOUT_MS,
  )
  return attempts
}
