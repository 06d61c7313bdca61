// docs/benchmarks.md, from what the benchmarks returned.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const PACKAGES = ['fastify', 'prom-client', '@prometheus-io/client', 'fastify-metrics', '@promster/fastify']

export function toMarkdown({ name, title, method, tables, goals }) {
  const parts = [`## ${title}`, `${method} \`bench/${name}.mjs\``, ...tables.map(toTable)]
  if (goals.length > 0) {
    parts.push(
      goals.map(({ text, value, met }) => `- ${met ? 'met' : '**missed**'}: ${text}: ${format(value)}`).join('\n'),
    )
  }
  return `${parts.join('\n\n')}\n`
}

/** Three significant digits; words as they are. */
export function format(value) {
  if (typeof value !== 'number') return value
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return `${Number(value.toPrecision(2))}`
}

/** The heads of {@link addedCells}. */
export const ADDED = ['added µs', 'with 95 %']

/** What a variant adds, as `addedTypicals()` returns it, in units of which so many make a microsecond. */
export function addedCells({ value, from, to }, units = 1) {
  return [value / units, `${format(from / units)} to ${format(to / units)}`]
}

function toTable({ head, rows }) {
  const lines = [head, head.map((_, index) => (index === 0 ? '---' : '---:')), ...rows.map((row) => row.map(format))]
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

export async function writeReport(sections, minutes) {
  const file = new URL('../../docs/benchmarks.md', import.meta.url)
  await mkdir(new URL('.', file), { recursive: true })
  const [cpu] = os.cpus()
  const versions = await Promise.all(PACKAGES.map(async (name) => `${name} ${await versionOf(name)}`))
  const head = `# Benchmarks

Written by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)}, in one run of ${Math.round(minutes)} minutes.

- Machine: ${os.cpus().length} × ${cpu.model.trim()}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, ${os.type()} ${os.arch()}
- Node.js ${process.versions.node}, ${versions.join(', ')}

Ratios are what carries over to other machines; the absolute numbers are this machine's, on the day. Each variant runs in
processes of its own, all of one benchmark alive at the same time and asked for short slices in turn, in random order. A
figure is the lower decile of a process's slices, since what disturbs a slice only ever adds to it, and of several
processes the median. CPU time is the process's own (\`process.cpuUsage()\`), garbage collection included. A goal that was
missed is shown like one that was met.
`
  await writeFile(file, [head, ...sections.map(toMarkdown)].join('\n'))
}

/** The version installed; a package's own package.json is often not among its exports. */
async function versionOf(name) {
  const require = createRequire(import.meta.url)
  const directories = require.resolve.paths(name).map((directory) => path.join(directory, name, 'package.json'))
  for (const file of directories) {
    try {
      return JSON.parse(await readFile(file, 'utf8')).version
    } catch {}
  }
  throw new Error(`Expected ${name} to be installed, looked from ${fileURLToPath(import.meta.url)}`)
}
