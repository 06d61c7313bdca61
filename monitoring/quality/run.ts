/**
 * `npm run quality`: plays every incident of incidents.test.yml to the shipped rules, and prints what they made of it.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { promtool, runTool } from '@data20/dev-services'
import { parse } from 'yaml'

const FOLDER = new URL('../../', import.meta.url)
const FILE = 'quality/incidents.test.yml'

const { tests } = parse(readFileSync(new URL(FILE, FOLDER), 'utf8')) as { tests: Array<{ name: string }> }
const names = tests.map(({ name }) => name)
console.log(`playing ${names.length} incidents, which takes a minute …`)
const { code, stdout, stderr } = await runTool(await promtool(), ['test', 'rules', FILE], { cwd: FOLDER.pathname })
const output = stdout + stderr
const failed = names.filter((name) => output.includes(`name: ${name}`))
if (code !== 0 && failed.length === 0) throw new Error(output)
for (const name of names) console.log(`${failed.includes(name) ? 'FAILED' : 'ok    '}  ${name}`)
for (const kind of ['fault', 'harmless']) {
  const all = names.filter((name) => name.startsWith(kind))
  const right = all.filter((name) => !failed.includes(name))
  console.log(`${kind}: ${right.length} of ${all.length} as wanted`)
}
if (code !== 0) console.log(output)
process.exitCode = code === 0 ? 0 : 1
