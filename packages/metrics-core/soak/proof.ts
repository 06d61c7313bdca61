/**
 * The parsers that people's metrics meet, and whether they find in an exposition what went in.
 *
 * @module
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { runTool, startPrometheus, type Tool } from '@data20/dev-services'
import type { Generated, Sample } from './generate.ts'

/** What a proof found wrong: one line each, none when nothing was lost. */
export type Losses = string[]

/** Reads a JSON list of expositions; writes for each either its families or why it was refused. */
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
      ...compare(`exposition ${index}`, all[index]!.samples, read),
      ...lostHelp.map((text) => `exposition ${index} lost the help ${JSON.stringify(text)}`),
    ]
  })
}

/** `promtool check metrics` reads them all as one text 0.0.4; what its lint says of random names does not matter. */
export async function proveByPromtool(promtool: Tool, all: Generated[]): Promise<Losses> {
  const input = all.map(({ text }) => text.body.toString()).join('')
  const { code, stderr } = await runTool(promtool, ['check', 'metrics'], { input })
  return code === 0 || code === 3 ? [] : [`promtool ended with ${code}: ${stderr.slice(0, 500)}`]
}

/** A Prometheus that scrapes each exposition over HTTP, in both formats, stores the same samples. */
export async function proveByPrometheus(binary: Tool, all: Generated[]): Promise<Losses> {
  const server = createServer((request, response) => {
    const [, format, index] = request.url!.split('/')
    const { contentType, body } = all[Number(index)]![format as 'text' | 'openMetrics']
    response.setHeader('content-type', contentType).end(body)
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
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
    await waitForScrapes()
    const refused = (await prometheus.targets()).filter(({ health }) => health !== 'up')
    if (refused.length > 0) return refused.map(({ scrapeUrl, lastError }) => `${scrapeUrl} was refused: ${lastError}`)
    const stored = new Map<string, Sample[]>()
    for (const { labels: all, value } of await prometheus.query('{soak_index=~".+"}')) {
      const { __name__: name = '', soak_format, soak_index, job, instance, ...labels } = all
      if (/^(up|scrape_(duration_seconds|samples_scraped|samples_post_metric_relabeling|series_added))$/.test(name))
        continue
      const key = `${soak_format} ${soak_index}`
      stored.set(key, [...(stored.get(key) ?? []), { name, labels, value }])
    }
    return targets.flatMap(({ labels: { soak_format, soak_index } }) => {
      const key = `${soak_format} ${soak_index}`
      return compare(key, all[Number(soak_index)]!.samples, stored.get(key) ?? [])
    })
  } finally {
    await prometheus.stop()
    server.closeAllConnections()
    server.close()
  }

  /** A target that this machine was too busy to answer is scraped again; one that is refused stays refused. */
  async function waitForScrapes(): Promise<void> {
    const end = Date.now() + 60_000
    while (Date.now() < end) {
      const all = await prometheus.targets()
      const isAccepted = all.length === targets.length && all.every(({ health }) => health === 'up')
      const isRefused = all.some(({ lastError }) => lastError !== '' && !/deadline exceeded|timeout/.test(lastError))
      if (isAccepted || isRefused) return
      await sleep(500)
    }
  }
}

function compare(where: string, expected: Sample[], read: Sample[]): Losses {
  const values = new Map(read.map((sample) => [identify(sample), sample.value]))
  const losses = expected.flatMap((sample) => {
    const id = identify(sample)
    const value = values.get(id)
    // -0 is 0 in both formats.
    const isSame = value === sample.value || (Number.isNaN(value) && Number.isNaN(sample.value))
    return isSame ? [] : [`${where} lost ${id} ${sample.value}, read ${value}`]
  })
  if (values.size !== expected.length) losses.push(`${where} has ${expected.length} samples, ${values.size} were read`)
  return losses
}

/** Prometheus holds an empty label to be an absent one; bounds are numbers. */
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
