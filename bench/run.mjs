// npm run bench [-- name …] [--quick]: runs every benchmark, or those named. A whole run without --quick writes
// docs/benchmarks.md.
import { parseArgs } from 'node:util'
import { toMarkdown, writeReport } from './lib/report.mjs'

const BENCHMARKS = ['recording', 'scrape', 'memory', 'http-path', 'http-work', 'http-sockets']

// npm and pnpm may pass their own `--`.
const args = process.argv.slice(2).filter((argument) => argument !== '--')
const { values, positionals } = parseArgs({ args, options: { quick: { type: 'boolean' } }, allowPositionals: true })
const { quick = false } = values
const names = positionals.length === 0 ? BENCHMARKS : positionals

const started = performance.now()
const sections = []
for (const name of names) {
  const { title, method, run } = await import(`./${name}.mjs`)
  const section = { name, title, method, ...(await run({ quick })) }
  console.log(toMarkdown(section))
  sections.push(section)
}
const minutes = (performance.now() - started) / 60_000
if (!quick && positionals.length === 0) await writeReport(sections, minutes)

const missed = sections.flatMap(({ goals }) => goals).filter(({ met }) => !met)
for (const { text } of missed) console.log(`missed: ${text}`)
