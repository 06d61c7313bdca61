/**
 * Proofs that the parsers people use read from an exposition what was written to it.
 *
 * @module
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type PrometheusService, runTool, startPrometheus, type Tool } from '@data20/dev-services'
import type { Generated, Sample } from './generate.ts'

/** The faults that a proof found, one line each; empty when nothing was lost. */
export type Losses = string[]

/** A Python program: reads a JSON array of expositions, and writes for each its families or why it was refused. */
const STRICT_PARSER = `
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
def read(text):
    try:
        families = list(text_string_to_metric_families(text))
        return {
            'help': {family.name: family.documentation for family in families},
            'samples': [[s.name, s.labels, repr(s.value)] for family in families for s in family.samples],
        }
    except Exception as error:
        return {'error': f'{type(error).__name__}: {error}'}
json.dump([read(text) for text in json.load(sys.stdin.buffer)], sys.stdout)
`

/** Debian's strict OpenMetrics parser finds the same samples and help texts. */
export async function proveByStrictParser(parser: Tool, all: Generated[]): Promise<Losses> {
  const tool = { ...parser, args: ['-B', '-c', STRICT_PARSER] }
  const input = JSON.stringify(all.map(({ openMetrics }) => openMetrics.body.toString()))
  const { stdout, stderr, code } = await runTool(tool, [], { input })
  if (code !== 0) return [`the strict parser ended with ${code}: ${stderr}`]
  type Answer = {
    error?: string
    help: Record<string, string>
    samples: Array<[string, Record<string, string>, string]>
  }
  return (JSON.parse(stdout) as Answer[]).flatMap(({ error, help, samples }, index) => {
    if (error !== undefined) return [`exposition ${index} was refused: ${error}\n${all[index]!.openMetrics.body}`]
    const read = samples.map(([name, labels, value]) => ({ name, labels, value: toNumber(value) }))
    const texts = new Set(Object.values(help))
    const lostHelp = Object.values(all[index]!.help).filter((text) => !texts.has(text))
    return [
      ...compare(`exposition ${index}`, all[index]!.samples, read, 'openMetrics'),
      ...lostHelp.map((text) => `exposition ${index} lost the help ${JSON.stringify(text)}`),
    ]
  })
}

/**
 * `promtool check metrics` reads all expositions as one text 0.0.4. What its lint says of random names does not matter.
 */
export async function proveByPromtool(promtool: Tool, all: Generated[]): Promise<Losses> {
  const input = all.map(({ text }) => text.body.toString()).join('')
  const { code, stderr } = await runTool(promtool, ['check', 'metrics'], { input })
  return code === 0 || code === 3 ? [] : [`promtool ended with ${code}: ${stderr.slice(0, 500)}`]
}

/** A Prometheus that scrapes each exposition over HTTP, in both formats, stores the same samples. */
export async function proveByPrometheus(binary: Tool, all: Generated[]): Promise<Losses> {
  const server = createServer((request, response) => {
    const [, format, index] = request.url!.split('/')
    const { contentType, body } = all[Number(index)]![format as Format]
    response.setHeader('content-type', contentType).end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const targets = (['text', 'openMetrics'] as const).flatMap((format) =>
    all.map((_, index) => ({
      targets: [`127.0.0.1:${port}`],
      labels: { __metrics_path__: `/${format}/${index}`, soak_format: format, soak_index: `${index}` },
    })),
  )
  const intervalSeconds = 1 + Math.ceil(targets.length / 300)
  const config = JSON.stringify({
    // Prometheus spreads the scrapes over the interval.
    global: { scrape_interval: `${intervalSeconds}s`, scrape_timeout: `${intervalSeconds}s` },
    scrape_configs: [{ job_name: 'soak', static_configs: targets }],
  })
  const prometheus = await startPrometheus({ config, binary })
  try {
    const stored = await readStored(prometheus, targets.length)
    const refused = (await prometheus.targets()).filter(({ lastError }) => isRefusal(lastError))
    if (refused.length > 0) return refused.map(({ scrapeUrl, lastError }) => `${scrapeUrl} was refused: ${lastError}`)
    return targets.flatMap(({ labels: { soak_format, soak_index } }) => {
      const key = `${soak_format} ${soak_index}`
      return compare(key, all[Number(soak_index)]!.samples, stored.get(key) ?? [], soak_format)
    })
  } finally {
    await prometheus.stop()
    server.closeAllConnections()
    server.close()
  }
}

type Format = 'text' | 'openMetrics'

/**
 * Returns the samples that Prometheus has of each target, by format and index. On a busy machine a scrape can miss its
 * deadline, and what it would have stored is stale until the next one: a target is read at a moment when it is up.
 * Returns what there is when a target was refused, or after two minutes.
 */
async function readStored(prometheus: PrometheusService, count: number): Promise<Map<string, Sample[]>> {
  const stored = new Map<string, Sample[]>()
  const end = Date.now() + 120_000
  while (Date.now() < end) {
    const found = new Map<string, Sample[]>()
    const up = new Set<string>()
    for (const { labels: all, value } of await prometheus.query('{soak_index=~".+"}')) {
      const { __name__: name = '', soak_format, soak_index, job, instance, ...labels } = all
      const key = `${soak_format} ${soak_index}`
      if (name === 'up' && value === 1) up.add(key)
      if (OF_PROMETHEUS.test(name)) continue
      found.set(key, [...(found.get(key) ?? []), { name, labels, value }])
    }
    for (const key of up) if (!stored.has(key)) stored.set(key, found.get(key) ?? [])
    if (stored.size === count) break
    if ((await prometheus.targets()).some(({ lastError }) => isRefusal(lastError))) break
    await sleep(500)
  }
  return stored
}

/** The metrics that Prometheus itself adds for each target. */
const OF_PROMETHEUS = /^(up|scrape_(duration_seconds|samples_scraped|samples_post_metric_relabeling|series_added))$/

/** Whether Prometheus refused an exposition, other than for a missed deadline. */
function isRefusal(lastError: string): boolean {
  return lastError !== '' && !/deadline exceeded|timeout/.test(lastError)
}

function compare(where: string, expected: Sample[], read: Sample[], format: Format): Losses {
  const values = new Map(read.map((sample) => [identify(sample), sample.value]))
  const optional = format === 'openMetrics' ? negativeSums(expected) : new Set()
  let leftOut = 0
  const losses = expected.flatMap((sample) => {
    const id = identify(sample)
    const value = values.get(id)
    // -0 is 0 in both formats.
    const isSame = value === sample.value || (Number.isNaN(value) && Number.isNaN(sample.value))
    const isLeftOut = value === undefined && optional.delete(id)
    if (isLeftOut) leftOut += 1
    return isSame || isLeftOut ? [] : [`${where} lost ${id} ${sample.value}, read ${value}`]
  })
  const count = expected.length - leftOut
  if (values.size !== count) losses.push(`${where} has ${count} samples, ${values.size} were read`)
  return losses
}

/** The sums below zero with their counts, which OpenMetrics does not allow in a histogram. */
function negativeSums(samples: Sample[]): Set<string> {
  return new Set(
    samples
      .filter(({ name, value }) => name.endsWith('_sum') && !(value >= 0))
      .flatMap((sum) => [sum, { ...sum, name: sum.name.replace(/_sum$/, '_count') }].map(identify)),
  )
}

/** Identifies a series as Prometheus does: an empty label is an absent one, and bucket boundaries are numbers. */
function identify({ name, labels }: Sample): string {
  const kept = Object.entries(labels)
    .filter(([, value]) => value !== '')
    .map(([label, value]) => [label, label === 'le' || label === 'quantile' ? `${toNumber(value)}` : value])
  return `${name} ${JSON.stringify(Object.fromEntries(kept.sort()))}`
}

/** Python writes `inf`, Prometheus `+Inf`, JavaScript `Infinity`. */
function toNumber(text: string): number {
  return Number(text.replace(/inf(inity)?/i, 'Infinity'))
}
