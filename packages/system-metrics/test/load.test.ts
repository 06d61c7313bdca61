import { readFileSync } from 'node:fs'
import t from 'tap'
import { build, readValue, scrape, secondSample, skip, until } from './helpers.ts'

t.test('the load is what /proc/loadavg says', { skip }, async (t) => {
  const app = await build(t)
  await secondSample(app)

  // The kernel computes the load anew every 5 seconds: a sample counts if that did not happen around it.
  const loads = await until('a sample between two steps of the kernel', async () => {
    const before = readLoads()
    await app.systemMetrics.sample()
    return before.join() === readLoads().join() && before
  })
  const text = await scrape(app)

  for (const [index, window] of ['1m', '5m', '15m'].entries()) {
    // The file has two decimals.
    t.ok(Math.abs(readValue(text, `system_load_average{window="${window}"}`)! - loads[index]!) < 0.02, window)
  }

  function readLoads(): number[] {
    return readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).map(Number)
  }
})
