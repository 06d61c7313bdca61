import t from 'tap'
import { build } from '../helpers.ts'

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
