// Sums what tap wrote of every package's tests into the closing line `N passed, N failed`; exit code 1 on any failure.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const root = new URL('../', import.meta.url)

/** Where tap writes the results of each workspace package, whether it has or not. */
export function resultFiles() {
  const folders = ['packages/', 'apps/'].flatMap((parent) =>
    readdirSync(new URL(parent, root)).map((name) => `${parent}${name}`),
  )
  return [...folders, 'monitoring'].map((folder) => new URL(`${folder}/.tap/results.tap`, root))
}

/** Prints the line and returns the counts of assertions. */
export async function countResults() {
  // Loaded here: on a fresh clone it is installed only after this file is read.
  const { Parser } = await import('tap-parser')
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for (const file of resultFiles().filter((file) => existsSync(file))) {
    const parser = new Parser()
    count(parser, counts)
    parser.end(readFileSync(file, 'utf8'))
  }
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''
  console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`)
  return counts
}

/** Counts assertions. A subtest's own line counts only when it failed and none of its assertions did: a timeout, say. */
function count(parser, counts) {
  let failedInChild
  parser.on('child', (child) => {
    const before = counts.failed
    count(child, counts)
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

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { passed, failed } = await countResults()
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0
}
