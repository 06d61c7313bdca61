import t from 'tap'
import { toPortable } from '../../src/cluster/aggregate.ts'

t.test('a worker sends labels as strings, because JSON cannot carry every type of label value', (t) => {
  const family = {
    name: 'level',
    help: 'L.',
    type: 'gauge',
    values: [{ labels: { id: 12n as never, no: true as never }, value: NaN }],
  }
  const [sample] = JSON.parse(JSON.stringify(toPortable(family, { shard: 3n as never }))).values
  t.strictSame(sample, { labels: { shard: '3', id: '12', no: 'true' }, value: 'NaN' })
  t.end()
})
