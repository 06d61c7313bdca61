import t from 'tap'
import { build, readMeminfo, readValue, scrape, secondSample, skip, TOLERANCE_BYTES, until } from './helpers.ts'

function readUsed(): { memory: number; swap: number } {
  return {
    memory: readMeminfo('MemTotal') - readMeminfo('MemAvailable'),
    swap: readMeminfo('SwapTotal') - readMeminfo('SwapFree'),
  }
}

t.test('memory and swap are what /proc/meminfo says', { skip }, async (t) => {
  const app = await build(t)
  await secondSample(app)

  // Other programs run on this machine: a sample counts if memory hardly changed around it.
  const used = await until('a sample while memory is steady', async () => {
    const before = readUsed()
    await app.systemMetrics.sample()
    const after = readUsed()
    const isSteady = (['memory', 'swap'] as const).every((key) => Math.abs(after[key] - before[key]) < TOLERANCE_BYTES)
    return isSteady && after
  })
  const text = await scrape(app)

  const total = readMeminfo('MemTotal')
  t.equal(readValue(text, 'system_memory_total_bytes'), total)
  t.ok(Math.abs(readValue(text, 'system_memory_used_bytes')! - used.memory) < TOLERANCE_BYTES)
  t.ok(Math.abs(readValue(text, 'system_swap_used_bytes')! - used.swap) < TOLERANCE_BYTES)
  if (readValue(text, 'container_memory_limit_bytes') === undefined) {
    t.ok(Math.abs(readValue(text, 'system_memory_percent')! - (100 * used.memory) / total) < 2)
  }
})
