/**
 * Parses inputs that make other Markdown parsers quadratic, at two sizes, and prints the CPU time of each. The time
 * should grow about fourfold: `cd apps/backend && npx tap --reporter=tap --timeout=3600 soak/parse.ts`. Asserts nothing
 * about time.
 */
import t from 'tap'
import { parseDocument } from '../dist/knowledge/corpus/document.js'
import { HOSTILE_INPUTS } from '../test/fixtures/hostile.ts'

const SIZE = Number(process.env.SOAK_BYTES ?? 64_000)

for (const [name, make] of Object.entries(HOSTILE_INPUTS)) {
  const small = measure(make(SIZE))
  const large = measure(make(SIZE * 4))
  t.comment(`${name.padEnd(28)} ${small.ms} ms, fourfold ${large.ms} ms, ${large.outcome}`)
}
t.pass('all inputs were parsed or refused')

function measure(source: string): { ms: number; outcome: string } {
  const start = process.cpuUsage()
  let outcome: string
  try {
    outcome = `${parseDocument('input.md', source).blocks.length} blocks`
  } catch (error) {
    outcome = (error as Error).message
  }
  const { user, system } = process.cpuUsage(start)
  return { ms: Math.round((user + system) / 1000), outcome }
}
