/** What `/metrics` says, to be compared with a ledger. */
import { type ExpositionSample, readSamples, until } from '@data20/dev-services'
import type { FastifyInstance } from 'fastify'

/** An exposition, by metric and labels. */
export class Exposition {
  readonly samples: ExpositionSample[]

  constructor(text: string) {
    this.samples = readSamples(text)
  }

  /** Returns the values other than 0 of a metric, by the values of some of its labels. */
  counts(name: string, labels: string[]): Map<string, number> {
    const counts = new Map<string, number>()
    for (const sample of this.samples) {
      if (sample.name !== name || sample.value === 0) continue
      const key = labels.map((label) => sample.labels[label]).join(' ')
      counts.set(key, (counts.get(key) ?? 0) + sample.value)
    }
    return counts
  }
}

/** Reads the metrics of an application once nothing is in flight. */
export async function settledExposition(app: FastifyInstance): Promise<Exposition> {
  return until('no request to be in flight', async () => {
    const { body } = await app.metrics.expose()
    const exposition = new Exposition(body.toString())
    const inFlight = exposition.counts('http_requests_in_flight', ['endpoint', 'method'])
    if (inFlight.size > 0) throw new Error(`in flight: ${[...inFlight].join('; ')}`)
    return exposition
  })
}

/** Sorts counts by their keys. */
export function sorted(counts: Iterable<[string, number]>): Array<[string, number]> {
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1))
}
