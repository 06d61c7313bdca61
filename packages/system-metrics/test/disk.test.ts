import { execFileSync } from 'node:child_process'
import t from 'tap'
import { build, readValue, scrape, secondSample, skip, TOLERANCE_BYTES, until } from './helpers.ts'

function df(folder: string): { size: number; used: number; available: number } {
  const columns = ['size', 'used', 'avail']
  const options = { encoding: 'utf8', timeout: 60_000 } as const
  const text = execFileSync('df', ['-B1', `--output=${columns.join()}`, folder], options)
  const [size = NaN, used = NaN, available = NaN] = text.trim().split('\n')[1]!.trim().split(/\s+/).map(Number)
  return { size, used, available }
}

t.test('the disk is what df says', { skip }, async (t) => {
  for (const folder of [undefined, '/dev']) {
    const app = await build(t, { path: folder })
    await secondSample(app)

    // Other programs write to this disk: a sample counts if it hardly changed around it.
    const { size, used, available } = await until('a sample while the disk is steady', async () => {
      const before = df(folder ?? process.cwd())
      await app.systemMetrics.sample()
      const after = df(folder ?? process.cwd())
      return Math.abs(after.used - before.used) < TOLERANCE_BYTES && after
    })
    const text = await scrape(app)

    t.equal(readValue(text, 'system_disk_total_bytes'), size)
    t.ok(Math.abs(readValue(text, 'system_disk_used_bytes')! - used) < TOLERANCE_BYTES)
    t.ok(Math.abs(readValue(text, 'system_disk_percent')! - (100 * used) / (used + available)) < 0.5)
  }
})

t.test('a file system without blocks has no percent', { skip }, async (t) => {
  const app = await build(t, { path: '/proc' })

  const text = await scrape(app)

  t.equal(readValue(text, 'system_disk_total_bytes'), 0)
  t.equal(readValue(text, 'system_disk_percent'), undefined)
})
