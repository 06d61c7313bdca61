import t from 'tap'
import { killEverything } from './crashes.ts'

// Once; `pnpm soak` does it five times with 200 runs.

for (const broker of ['PostgreSQL', 'Redis'] as const) {
  t.test(`no run that was answered 202 is lost, with the queue on ${broker}`, (t) => {
    return killEverything(t, broker, { rounds: 1, runs: 80 })
  })
}
