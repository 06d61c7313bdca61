/**
 * Kills the backend, a worker, Redis and PostgreSQL again and again while runs wait and run: `pnpm --filter backend soak`, or
 * `SOAK_ROUNDS=20 SOAK_RUNS=500 pnpm --filter backend soak`. Tells of each round, and
 * ends by itself, with exit code 1 when a run was lost.
 */
import t from 'tap'
import { killEverything } from '../test/crashes.ts'

const ROUNDS = Number(process.env.SOAK_ROUNDS ?? 5)
const RUNS = Number(process.env.SOAK_RUNS ?? 200)

for (const broker of ['PostgreSQL', 'Redis'] as const) {
  t.test(`${ROUNDS} rounds of ${RUNS} runs on ${broker} lose nothing`, { timeout: 3_600_000 }, (t) => {
    return killEverything(t, broker, { rounds: ROUNDS, runs: RUNS })
  })
}
