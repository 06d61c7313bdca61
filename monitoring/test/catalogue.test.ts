import { readFileSync } from 'node:fs'
import { toolOrSkip } from '@data20/dev-services'
import { formatBoundary, formatFinding, lintSources } from '@data20/promql-lint'
import t from 'tap'
import { renderDocument } from '../catalogue/document.ts'
import { createCatalogueLookup } from '../catalogue/lookup.ts'
import { catalogue, type Metric } from '../catalogue/metrics.ts'
import { root } from '../catalogue/root.ts'
import { findSources, readRules } from '../catalogue/sources.ts'
import { exposeAll, type Line, parseExposition } from './exposition.ts'

const rules = readRules(root)
const lookup = createCatalogueLookup(rules)
const exposition = await toolOrSkip(t, () => exposeAll(t))
const lines = parseExposition(exposition ?? '')

t.test('the catalogue is what an application with all plugins exposes', async (t) => {
  if (exposition === undefined) return
  const sort = (list: string[]) => list.sort()
  const isThere = ({ name }: Metric) => exposition.includes(`# TYPE ${name} `)
  t.same(
    sort([...exposition.matchAll(/^# HELP (.*)$/gm)].map(([, help]) => help!)),
    sort(catalogue.filter(isThere).map(({ name, help }) => `${name} ${help}`)),
    'every metric is in the catalogue, with its help',
  )
  t.same(
    sort([...exposition.matchAll(/^# TYPE (.*)$/gm)].map(([, type]) => type!)),
    sort(catalogue.filter(isThere).map(({ name, type }) => `${name} ${type}`)),
    'with its type',
  )
  t.same(
    catalogue.filter((metric) => !isThere(metric) && metric.condition === undefined).map(({ name }) => name),
    [],
    'and what the catalogue has is exposed',
  )
  for (const metric of catalogue) {
    const samples = samplesOf(metric)
    if (samples.length === 0) {
      t.ok(metric.condition, `${metric.name} has a series, or a condition`)
      continue
    }
    t.same(labelsOf(samples), metric.labels, `${metric.name} has the labels of the catalogue`)
    t.same(boundsOf(samples), metric.buckets?.map(formatBoundary) ?? [], `${metric.name} has its buckets`)
    for (const [label, values] of Object.entries(metric.values)) {
      const seen = new Set(samples.map(({ labels }) => labels[label]!))
      // These come with requests; all others exist from the start, so that none can be missing here.
      const isOfRequest = label === 'method' || (metric.name.startsWith('http_') && label === 'status')
      const expected = isOfRequest ? values.filter((value) => seen.has(value)) : values
      t.same([...seen].sort(), [...expected].sort(), `${metric.name} has the values of ${label}`)
    }
  }
})

t.test('docs/metrics.md is up to date', async (t) => {
  const text = readFileSync(new URL('docs/metrics.md', root), 'utf8')
  t.equal(text, renderDocument(rules), 'else: pnpm --filter @data20/monitoring catalogue')
})

t.test('every PromQL expression of the repository passes the lint', async (t) => {
  const sources = findSources(root)
  t.same(lintSources(sources, lookup).map(formatFinding), [])
  for (const part of ['prometheus/rules/', 'prometheus/alerts/', 'grafana/dashboards/', 'runbooks/', 'packages/']) {
    t.ok(
      sources.some(({ file }) => file.includes(part)),
      `expressions were found in ${part}`,
    )
  }
})

function samplesOf({ name, type }: Metric): Line[] {
  const names = type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]
  return lines.filter((line) => names.includes(line.name))
}

function labelsOf(samples: Line[]): string[] {
  return [...new Set(samples.flatMap(({ labels }) => Object.keys(labels)))].filter((label) => label !== 'le').sort()
}

function boundsOf(samples: Line[]): string[] {
  return [...new Set(samples.flatMap(({ labels: { le } }) => (le === undefined || le === '+Inf' ? [] : [le])))]
}
