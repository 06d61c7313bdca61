/**
 * Keeps docs/compatibility.md equal to what tests prove.
 * @module
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

/** A row of docs/compatibility.md. */
export interface Compatibility {
  /** Name of a package in the `node_modules` of the tests, or another name with `version`. */
  library: string
  /** Default: that of the installed package. */
  version?: string
  counted: string
  /** What is left out, and why. Default: nothing. */
  notCounted?: string
}

/** A test of tap, or another object with its `ok`. */
interface Assertions {
  ok(value: unknown, message: string): unknown
}

const DOCUMENT = new URL('../../../docs/compatibility.md', import.meta.url)
const TABLE_HEAD = '| Library | Version | Counted | Not counted |\n| --- | --- | --- | --- |\n'

/**
 * Asserts that docs/compatibility.md shows this row in the section of the package under test. Call it at the end of the
 * test that proves the row. With the environment variable `WRITE_COMPATIBILITY` it writes the row instead.
 */
export function assertDocumented(t: Assertions, { library, version, counted, notCounted = '' }: Compatibility): void {
  const row = `| ${[library, version ?? installedVersion(library), counted, notCounted].join(' | ')} |\n`
  if (process.env.WRITE_COMPATIBILITY) writeRow(basename(process.cwd()), library, row)
  const isDocumented = readFileSync(DOCUMENT, 'utf8').includes(`\n${row}`)
  t.ok(isDocumented, `docs/compatibility.md has the row of ${library}; WRITE_COMPATIBILITY=1 writes it`)
}

function installedVersion(library: string): string {
  return JSON.parse(readFileSync(join('node_modules', library, 'package.json'), 'utf8')).version
}

/** Replaces the row of a library in the section of a package, or adds both. Rows are sorted. */
function writeRow(section: string, library: string, row: string): void {
  const [head = '', ...sections] = readFileSync(DOCUMENT, 'utf8').split(/^## /m)
  const rows = new Map<string, string[]>(
    sections.map((text) => [text.slice(0, text.indexOf('\n')), text.match(/^\| .*\n/gm)?.slice(2) ?? []]),
  )
  const others = (rows.get(section) ?? []).filter((other) => !other.startsWith(`| ${library} |`))
  rows.set(section, [...others, row].sort())
  const texts = [...rows].sort().map(([name, lines]) => `\n## ${name}\n\n${TABLE_HEAD}${lines.join('')}`)
  writeFileSync(DOCUMENT, `${head.trimEnd()}\n${texts.join('')}`)
}
