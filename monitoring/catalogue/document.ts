/**
 * The catalogue as a document for people: `docs/metrics.md`.
 *
 * @module
 */
import { catalogue, type Metric, UNMATCHED } from './metrics.ts'
import { createLookup } from './names.ts'
import type { Rule } from './rules.ts'

const INTRODUCTION = `# The metrics

What an application with all plugins exposes, and what the recording rules of \`monitoring/\` make of it. Written by
\`pnpm --filter @data20/monitoring catalogue\` from the packages' own definitions; a test compares it with a real exposition.

Every series also has the labels of its target, \`instance\` and \`job\`. A counter is read with \`rate\` or \`increase\`, a
histogram by its parts \`_bucket\`, \`_sum\` and \`_count\`. \`endpoint\` is the pattern of a route, or \`${UNMATCHED}\`; what exceeds
the cap of a metric's series has \`__overflow__\` in every label.
`

/** The text of the document. */
export function renderDocument(rules: readonly Rule[]): string {
  const packages = [...new Set(catalogue.map((metric) => metric.package))]
  const sections = packages.map((name) =>
    renderPackage(
      name,
      catalogue.filter((metric) => metric.package === name),
    ),
  )
  return [INTRODUCTION, ...sections, ...renderRules(rules)].join('\n')
}

function renderPackage(name: string, metrics: readonly Metric[]): string {
  const rows = metrics.map((metric) => [
    `\`${metric.name}\``,
    metric.type,
    metric.labels.map((label) => `\`${label}\``).join(', '),
    meaningOf(metric),
  ])
  return [
    `## ${name}\n`,
    table(['Metric', 'Type', 'Labels', 'Meaning'], rows),
    ...listOf('Values of labels:', valuesIn(metrics)),
    ...listOf('Upper bounds of buckets:', bucketsIn(metrics)),
  ].join('\n')
}

function meaningOf({ help, condition, isShared }: Metric): string {
  const notes = [
    // The help says both of some already.
    ...(condition === undefined || help.includes('; absent where') ? [] : [`Only ${condition}.`]),
    ...(isShared && !help.includes('The same in every process') ? ['The same in every process: never add it up.'] : []),
  ]
  return [help, ...notes].join(' ')
}

/** One line for each label and set of values, with the metrics that have it. */
function valuesIn(metrics: readonly Metric[]): string[] {
  const metricsByValues = new Map<string, string[]>()
  for (const { name, labels, values } of metrics) {
    for (const label of labels) {
      const list = values[label]
      if (list === undefined) continue
      const line = `\`${label}\`: ${describe(list)}`
      metricsByValues.set(line, [...(metricsByValues.get(line) ?? []), name])
    }
  }
  return [...metricsByValues].map(([line, names]) => `${line} (${names.map((name) => `\`${name}\``).join(', ')})`)
}

/** The numbers in a long list of values are shown by the first and the last. */
function describe(values: readonly string[]): string {
  const numbers = values.filter((value) => /^\d+$/.test(value))
  if (numbers.length < 40) return values.map((value) => `\`${value}\``).join(', ')
  const others = values.filter((value) => !numbers.includes(value))
  return `\`${numbers[0]}\` to \`${numbers.at(-1)}\`, or by class ${others.map((value) => `\`${value}\``).join(', ')}`
}

function bucketsIn(metrics: readonly Metric[]): string[] {
  return metrics.flatMap(({ name, buckets }) => (buckets ? [`\`${name}\`: ${buckets.join(', ')}`] : []))
}

function renderRules(rules: readonly Rule[]): string[] {
  const lookup = createLookup(rules)
  const fileByName = new Map(
    rules.flatMap(({ record, file }) => (record === undefined ? [] : [[record, file] as const])),
  )
  if (fileByName.size === 0) return []
  const rows = [...fileByName].map(([name, file]) => {
    const labels = [...(lookup(name)?.labels.keys() ?? [])].sort().map((label) => `\`${label}\``)
    return [`\`${name}\``, labels.join(', '), `[${file.split('/').at(-1)}](../${file})`]
  })
  return ['## Recording rules\n', 'With all of their labels.\n', table(['Name', 'Labels', 'File'], rows)]
}

function listOf(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`${title}\n`, ...lines.map((line) => `- ${line}`), '']
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return `${[line(head), `|${head.map(() => ' --- |').join('')}`, ...rows.map(line)].join('\n')}\n`
}
