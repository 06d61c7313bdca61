// Writes docs/benchmarks.md from the results of the benchmarks.
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

/** Returns a number with two significant digits, from 100 as an integer; a string as it is. */
export function format(value) {
  if (typeof value !== 'number') return value
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return `${Number(value.toPrecision(2))}`
}

/** Column heads of {@link addedCells}. */
export const ADDED = ['added µs', 'with 95 %']

/** Returns the cells for a result of `addedTypicals()`; `units` of its unit make a microsecond. */
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

Ratios carry over to other machines; absolute numbers belong to this machine and this day. Each variant runs in processes of
its own. All variants of a benchmark are alive at the same time and are asked for short slices in turn, in random order. The
figure of a process is the lower decile of its slices, because a disturbance only ever adds time; the figure of a variant is the
median of its processes ([why](decisions/0018-benchmarks-take-the-lower-decile.md)). CPU time is \`process.cpuUsage()\` of the
process, garbage collection included. A missed goal is shown like one that was met.
`
  await writeFile(file, [head, ...sections.map(toMarkdown)].join('\n'))
}

/** Returns the installed version. It reads the file, since `package.json` is often not among a package's exports. */
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
