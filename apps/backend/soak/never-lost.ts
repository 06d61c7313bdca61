/**
 * Kills the backend, a worker process, Redis and PostgreSQL again and again while runs wait and execute: `pnpm --filter
 * backend soak`, or `SOAK_ROUNDS=20 SOAK_RUNS=500 pnpm --filter backend soak`. Reports each round. Ends with exit code
 * 1 when a run was lost.
 */
import t from 'tap'
import { killEverything } from '../test/crashes/kill-everything.ts'

const ROUNDS = Number(process.env.SOAK_ROUNDS ?? 5)
const RUNS = Number(process.env.SOAK_RUNS ?? 200)

for (const broker of ['PostgreSQL', 'Redis'] as const) {
  t.test(`${ROUNDS} rounds of ${RUNS} runs on ${broker} lose nothing`, { timeout: 3_600_000 }, (t) => {
    return killEverything(t, broker, { rounds: ROUNDS, runs: RUNS })
  })
}
