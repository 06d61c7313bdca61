/**
 * `pnpm mutate`: tests every mutant of every rule. Exits with 1 when fewer than 95 % are caught, or when the survivors
 * differ from `survivors.json`, which says for each why a test cannot or need not tell it from the rule.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promtool } from '@data20/dev-services'
import { casesOf, findSurvivors } from './survival.ts'

/** Seen from `dist/mutation`. */
const MONITORING = fileURLToPath(new URL('../../', import.meta.url))

const folder = join(MONITORING, 'prometheus')
const reasons: Record<string, string> = JSON.parse(readFileSync(join(MONITORING, 'mutation/survivors.json'), 'utf8'))
const cases = casesOf(folder)

const began = Date.now()
const survivors = await findSurvivors(cases, { folder, promtool: await promtool() })
const seconds = ((Date.now() - began) / 1000).toFixed(0)

const caught = cases.length - survivors.length
const percent = ((caught / cases.length) * 100).toFixed(1)
console.log(`${cases.length} mutants, ${caught} caught (${percent} %), ${survivors.length} survived, ${seconds} s`)
const unexplained = survivors.filter(({ id }) => !(id in reasons))
const stale = Object.keys(reasons).filter((id) => !survivors.some((survivor) => survivor.id === id))
for (const { id } of unexplained) console.log(`survived without a reason in survivors.json: ${id}`)
for (const id of stale) console.log(`in survivors.json, and did not survive: ${id}`)
process.exitCode = caught / cases.length < 0.95 || unexplained.length > 0 || stale.length > 0 ? 1 : 0
