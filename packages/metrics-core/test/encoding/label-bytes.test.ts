import t from 'tap'
import { encode } from '../../src/encoding/label-bytes.ts'
import { toBytes } from '../../src/encoding/writer.ts'
import { build } from '../helpers.ts'

t.test('nobody can choose labels that have the same hash', (t) => {
  const hashes = new Set<number>()
  // Without the secret multiplication these pairs collide under every seed: after mixing they differ in the highest
  // bit only, and the next word cancels that difference.
  const pairs = [
    ['on_$on_%', '!\u1024!\u1025'],
    ['on_%on_$', '!\u1025!\u1024'],
  ]
  for (let choice = 0; choice < 4096; choice += 1) {
    let text = ''
    for (let bit = 0; bit < 12; bit += 1) text += pairs[bit % 2]![(choice >> bit) & 1]
    hashes.add(encode([toBytes('')], [text], toBytes('')).hash)
  }
  t.ok(hashes.size > 4000, `${hashes.size} hashes of 4096 labels`)
  t.end()
})

t.test('labels are copied unchanged, whichever bytes meet in a word', async (t) => {
  const { metrics } = await build(t, { maxSeries: Infinity })
  const gauge = metrics.gauge({ name: 'g', help: 'G.', labelNames: ['text'] })
  const histogram = metrics.histogram({ name: 'h', help: 'H.', labelNames: ['text'], buckets: [1] })
  const texts: string[] = []
  for (const one of ['\x7f', '\u{10ffff}', '\x7f\u{10ffff}', '\u{10ffff}\x7f', '\uffff\x7f', 'é\x7fé', '\xff']) {
    for (let before = 0; before < 9; before += 1) {
      for (let after = 0; after < 9; after += 1) texts.push('a'.repeat(before) + one + 'b'.repeat(after))
    }
  }
  for (const text of texts) {
    gauge.set({ text }, 1)
    histogram.observe({ text }, 1)
  }
  const body = (await metrics.expose()).body.toString()
  for (const text of texts) {
    for (const line of [`g{text="${text}"} 1`, `h_bucket{text="${text}",le="+Inf"} 1`, `h_sum{text="${text}"} 1`]) {
      if (!body.includes(`${line}\n`)) return t.fail(line)
    }
  }
  t.equal(body.split('\n').filter((line) => /^[gh]/.test(line)).length, texts.length * 5)
})
