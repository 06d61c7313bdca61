// Sums what tap wrote of every package's tests into the closing line `N passed, N failed`; exit code 1 on any failure.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { Parser } from 'tap-parser'

const root = new URL('../', import.meta.url)
const counts = { passed: 0, failed: 0, skipped: 0 }

for (const folder of ['packages/', 'apps/']) {
  for (const name of readdirSync(new URL(folder, root))) {
    const results = new URL(`${folder}${name}/.tap/results.tap`, root)
    if (!existsSync(results)) continue
    const parser = new Parser()
    count(parser)
    parser.end(readFileSync(results, 'utf8'))
  }
}

const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''
console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`)
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0

/** Counts assertions. A subtest's own line counts only when it failed and none of its assertions did: a timeout, say. */
function count(parser) {
  let failedInChild
  parser.on('child', (child) => {
    const before = counts.failed
    count(child)
    failedInChild = () => counts.failed > before
  })
  parser.on('assert', ({ ok, skip, todo }) => {
    const isSubtest = failedInChild !== undefined
    const isCounted = isSubtest ? !ok && !failedInChild() : true
    failedInChild = undefined
    if (!isCounted) return
    if (skip || todo) counts.skipped += 1
    else counts[ok ? 'passed' : 'failed'] += 1
  })
  parser.on('bailout', () => {
    counts.failed += 1
  })
}
