// One command on a fresh clone: installs, builds, runs every package's tests, and sums them.
import { readdirSync, rmSync } from 'node:fs'
import { countResults } from './count-results.mjs'
import { pnpm } from './pnpm.mjs'

for (const folder of ['packages/', 'apps/']) {
  for (const name of readdirSync(new URL(`../${folder}`, import.meta.url))) {
    rmSync(new URL(`../${folder}${name}/.tap/results.tap`, import.meta.url), { force: true })
  }
}
// Two packages at once, each in one process: as many as the smallest machine has cores. A failure stops no other package.
const code = await pnpm('--silent', 'run', 'test:all')
const { failed } = await countResults()
process.exitCode = code === 0 && failed === 0 ? 0 : 1
