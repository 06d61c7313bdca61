/** Scrapes a process that goes on while things around it are killed. */
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../helpers.ts'

export interface Monitor {
  /** Resolves when a scrape shows this value. */
  until(series: string, value: number): Promise<void>
  stop(): Promise<{ scrapes: number; slowestMs: number; decreases: string[] }>
}

/** Scrapes a process five times a second. */
export function watch(url: string): Monitor {
  const result = { scrapes: 0, slowestMs: 0, decreases: [] as string[] }
  const values = new Map<string, number>()
  let isStopped = false
  const watching = scrapeOn()
  // `stop` reports an error.
  watching.catch(() => {})

  return {
    async until(series, value) {
      const { scrapes } = result
      await until(`${series} to be ${value}`, () => result.scrapes > scrapes && values.get(series) === value)
    },
    async stop() {
      isStopped = true
      await watching
      return result
    },
  }

  async function scrapeOn(): Promise<void> {
    while (!isStopped) {
      const metrics = await get('/metrics')
      result.slowestMs = Math.max(result.slowestMs, Math.round(metrics.ms))
      result.scrapes += 1
      read(metrics.body)
      await sleep(200)
    }
  }

  async function get(path: string): Promise<{ ms: number; body: string }> {
    const began = performance.now()
    const body = await (await fetch(url + path)).text()
    return { ms: performance.now() - began, body }
  }

  function read(exposition: string): void {
    for (const line of exposition.split('\n')) {
      const end = line.lastIndexOf(' ')
      if (line.startsWith('#') || end === -1) continue
      const series = line.slice(0, end)
      const value = Number(line.slice(end + 1))
      const isCounter = /^\w+_(total|count|bucket|sum)(\{|$)/.test(series)
      if (isCounter && value < (values.get(series) ?? 0)) {
        result.decreases.push(`${series}: ${values.get(series)}, then ${value}`)
      }
      values.set(series, value)
    }
  }
}
