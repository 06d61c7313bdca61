import t from 'tap'
import { killEverything } from './kill-everything.ts'

// One round on the default broker. `pnpm --filter backend soak` does five with 200 runs, on PostgreSQL and on Redis.

t.test('no run that was answered 202 is lost', (t) => {
  return killEverything(t, 'PostgreSQL', { rounds: 1, runs: 40 })
})
