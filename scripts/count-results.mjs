// Sums what tap wrote about every package's tests: the names of the failed assertions, then `N passed, N failed`.
// Exit code 1 on any failure, and when nothing ran.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const root = new URL('../', import.meta.url)

/** Returns the folders of the workspace packages, from the root. */
function packageFolders() {
  const folders = ['packages/', 'apps/'].flatMap((parent) =>
    readdirSync(new URL(parent, root)).map((name) => `${parent}${name}`),
  )
  return [...folders, 'monitoring']
}

/** Returns where tap writes the results of a package; the file exists once its tests have run. */
function resultFile(folder) {
  return new URL(`${folder}/.tap/results.tap`, root)
}

/** Returns where tap writes the results of every package. */
export function resultFiles() {
  return packageFolders().map(resultFile)
}

/** Prints the names of the failed assertions and the line of counts; returns the counts. */
export async function countResults() {
  // Loaded here: on a fresh clone it is installed only after this file is read.
  const { Parser } = await import('tap-parser')
  const results = { passed: 0, failed: 0, skipped: 0, names: [] }
  for (const folder of packageFolders()) {
    const file = resultFile(folder)
    if (!existsSync(file)) continue
    const parser = new Parser()
    count(parser, results, [folder])
    parser.end(readFileSync(file, 'utf8'))
  }
  for (const name of results.names) console.log(`failed: ${name}`)
  const skipped = results.skipped > 0 ? `, ${results.skipped} skipped` : ''
  console.log(`${results.passed} passed, ${results.failed} failed${skipped}`)
  return results
}

/**
 * Counts the assertions of a parser and of its subtests. The line of a subtest counts only when it failed and none of
 * its assertions did, as after a timeout.
 *
 * @param {string[]} path the package, the file and the tests around, by which a failure is named
 */
function count(parser, results, path) {
  /** The subtest whose own line comes next. */
  let child
  const failedTests = new Set()
  parser.on('child', (parserOfChild) => {
    const before = results.failed
    count(parserOfChild, results, [...path, parserOfChild.name])
    child = { hasFailed: () => results.failed > before }
  })
  parser.on('assert', ({ ok, skip, todo, name, diag }) => {
    const subtest = child
    child = undefined
    if (subtest) {
      if (!ok) failedTests.add(name)
      if (!ok && !subtest.hasFailed()) fail(name)
      return
    }
    // tap reports a test that has timed out once more at the end of its file.
    if (!ok && failedTests.has(name)) return
    if (skip || todo) results.skipped += 1
    else if (ok) results.passed += 1
    else fail(diag?.at?.lineNumber ? `${name} (line ${diag.at.lineNumber})` : name)
  })
  parser.on('bailout', (reason) => fail(`bailed out: ${reason}`))
  parser.on('complete', ({ ok, failures }) => {
    // A plan that was not met, or a file that ended early, fails without an assertion of its own.
    if (ok || results.names.some((name) => name.startsWith(nameOf('')))) return
    const failure = failures.find(({ tapError }) => tapError)
    if (failure) fail(failure.tapError)
  })

  function fail(name) {
    results.failed += 1
    results.names.push(nameOf(name))
  }

  function nameOf(...rest) {
    return [...path, ...rest].join(' > ')
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { passed, failed } = await countResults()
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0
}
