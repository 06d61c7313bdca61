import t from 'tap'
import { encode, hashEncoded } from '../../src/encoding/label-bytes.ts'
import { toBytes } from '../../src/encoding/writer.ts'

t.test('nobody can choose labels that have the same hash', (t) => {
  const hashes = new Set<number>()
  // Without the secret multiplication these pairs collide under every seed: after mixing they differ in the highest bit only,
  // and the next word cancels that difference.
  const pairs = [
    ['on_$on_%', '!\u1024!\u1025'],
    ['on_%on_$', '!\u1025!\u1024'],
  ]
  for (let choice = 0; choice < 4096; choice += 1) {
    let text = ''
    for (let bit = 0; bit < 12; bit += 1) text += pairs[bit % 2]![(choice >> bit) & 1]
    encode([toBytes('')], [text], toBytes(''))
    hashes.add(hashEncoded())
  }
  t.ok(hashes.size > 4000, `${hashes.size} hashes of 4096 labels`)
  t.end()
})
