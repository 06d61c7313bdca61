// One command on a fresh clone: installs, builds, runs every package's tests, and sums them.
import { rmSync } from 'node:fs'
import { countResults, resultFiles } from './count-results.mjs'
import { pnpm } from './pnpm.mjs'

for (const file of resultFiles()) rmSync(file, { force: true })
// Three packages at once: the tests wait for other programs part of their time, and two would leave a core of the
// smallest machine with nothing to do. A failure stops no other package.
const code = await pnpm('--silent', 'run', 'test:all')
const { failed } = await countResults()
process.exitCode = code === 0 && failed === 0 ? 0 : 1
