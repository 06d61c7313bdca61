import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { busyPercent, parseStat } from '../src/cpu.ts'
import { build, readValue, scrape, secondSample, skip } from './helpers.ts'

t.test('the processors are as busy as /proc/stat says over the same time', { skip }, async (t) => {
  const app = await build(t)
  await secondSample(app)
  const burner = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' })
  t.teardown(() => burner.kill('SIGKILL'))
  await once(burner, 'spawn')

  // Each sample happens between two readings of ours, so the true percent lies between two bounds, however slow the
  // machine is.
  const readings = [readStat()]
  await app.systemMetrics.sample()
  readings.push(readStat())
  await sleep(1500)
  readings.push(readStat())
  await app.systemMetrics.sample()
  readings.push(readStat())
  const percent = readValue(await scrape(app), 'system_cpu_percent')!

  const [first, second, third, last] = readings as [Stat, Stat, Stat, Stat]
  const least = (100 * (third.busy - second.busy)) / (last.total - first.total)
  const most = (100 * (last.busy - first.busy)) / (third.total - second.total)
  t.ok(percent >= 0 && percent <= 100)
  t.ok(percent > least - 1 && percent < most + 1, `${percent}, by /proc/stat ${least} to ${most}`)
  t.ok(percent > 70 / availableParallelism(), `one of ${availableParallelism()} processors burns: ${percent}`)

  function readStat(): Stat {
    const fields = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.split(/\s+/).slice(1, 9).map(Number)
    const total = fields.reduce((sum, field) => sum + field)
    return { busy: total - fields[3]! - fields[4]!, total }
  }
})

interface Stat {
  busy: number
  total: number
}

t.test('idle, iowait and guest times are not counted as work', async (t) => {
  const before = parseStat('cpu  100 10 20 1000 50 1 2 3 40 5\ncpu0 1 1 1 1\n')
  const after = parseStat('cpu  120 10 30 1050 60 2 4 10 60 5\ncpu0 1 1 1 1\n')

  t.strictSame(before, { busy: 136, total: 1186 })
  t.equal(busyPercent(before, after), 40)
  t.equal(busyPercent(before, before), undefined)
  t.equal(busyPercent({ busy: 5, total: 100 }, { busy: 4, total: 110 }), 0, 'a busy time that goes back')
  t.equal(busyPercent({ busy: 5, total: 100 }, { busy: 16, total: 110 }), 100, 'an idle time that goes back')
  t.throws(() => parseStat('intr 5\n'), /Expected a line `cpu`/)
})
