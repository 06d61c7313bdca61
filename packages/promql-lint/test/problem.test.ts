import { readFileSync } from 'node:fs'
import t from 'tap'
import { RULES } from '../src/problem.ts'

t.test('the README has a row for each rule', async (t) => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  t.same(
    [...readme.matchAll(/^\| `(\w+)` \| (?:`|an alert)/gm)].map(([, rule]) => rule),
    Object.keys(RULES),
  )
})
