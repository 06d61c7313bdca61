import t from 'tap'
import { killEverything } from './crashes.ts'

// One round on the default; `pnpm soak` does five with 200 runs, with the queue on PostgreSQL and on Redis.

t.test('no run that was answered 202 is lost', (t) => {
  return killEverything(t, 'PostgreSQL', { rounds: 1, runs: 80 })
})
