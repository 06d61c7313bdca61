import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { type SystemMetricsOptions, systemMetrics } from '../src/index.ts'
import { increase } from '../src/values.ts'
import {
  build,
  readMeminfo,
  readValue,
  runProgram,
  samplesOf,
  scrape,
  secondSample,
  sendLoopback,
  skip,
  TOLERANCE_BYTES,
  temporary,
  until,
} from './helpers.ts'

t.test('registered alone, it answers GET /metrics', { skip }, async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(systemMetrics)

  const response = await app.inject('/metrics')

  t.equal(response.statusCode, 200)
  t.ok(Number(readValue(response.body, 'system_memory_total_bytes')) > 0)
  t.equal(readValue(response.body, 'metrics_collector_success{collector="system"}'), 1)
})

t.test('all but the processors is known at the first scrape, and nothing is NaN', { skip }, async (t) => {
  const startMs = performance.now()
  const app = await build(t)

  const text = await scrape(app)

  if (performance.now() - startMs < 400) t.equal(readValue(text, 'system_cpu_percent'), undefined)
  for (const name of ['memory_percent', 'memory_used_bytes', 'disk_percent', 'disk_used_bytes']) {
    t.ok(Number(readValue(text, `system_${name}`)) > 0, name)
  }
  t.notMatch(samplesOf(text).join('\n'), /NaN|Inf/)
  t.type(await until('a second sample', async () => readValue(await scrape(app), 'system_cpu_percent')), 'number')
})

t.test('a scrape never samples', { skip }, async (t) => {
  const app = await build(t, { networkDevices: () => true })
  await secondSample(app)

  const first = samplesOf(await scrape(app))
  await sendLoopback(100_000)
  const second = samplesOf(await scrape(app))
  await app.systemMetrics.sample()
  const third = samplesOf(await scrape(app))

  const received = (samples: string[]) =>
    readValue(samples.join('\n'), 'system_network_receive_bytes_total{device="lo"}')!
  t.strictSame(second, first)
  t.ok(received(third) - received(first) > 100_000)
})

t.test('samples follow each other at the interval, and stop with the application', { skip }, async (t) => {
  let samples = 0
  const app = await build(t, {
    intervalMs: 100,
    networkDevices(device) {
      if (device === 'lo') samples += 1
      return true
    },
  })
  const samplesAtReady = samples
  await until('five samples', () => samples >= 5)

  await app.close()
  const samplesAtClose = samples
  await sleep(400)

  t.ok(samplesAtReady >= 1, 'the first sample comes before `ready`')
  t.equal(samples, samplesAtClose)
})

t.test('a failed sample shows in the collector and keeps the last values', { skip }, async (t) => {
  const folder = path.join(temporary(t), 'disk')
  mkdirSync(folder)
  const app = await build(t, { path: folder })
  await secondSample(app)
  const total = readValue(await scrape(app), 'system_disk_total_bytes')

  rmSync(folder, { recursive: true })
  await app.systemMetrics.sample()
  const failed = await scrape(app)
  mkdirSync(folder)
  await app.systemMetrics.sample()
  const recovered = await scrape(app)

  t.equal(readValue(failed, 'metrics_collector_success{collector="system"}'), 0)
  t.equal(readValue(failed, 'system_disk_total_bytes'), total)
  t.equal(readValue(recovered, 'metrics_collector_success{collector="system"}'), 1)
})

t.test('a process that has nothing else to do ends, and no child process was ever started', { skip }, async (t) => {
  const { code, stdout, stderr } = await runProgram(
    t,
    `
      import { readFileSync } from 'node:fs'
      import { execSync } from 'node:child_process'
      // cminflt, see proc_pid_stat(5): page faults of children that have ended. No child lives without one.
      const childFaults = () => Number(readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ')[8])
      await app.register(systemMetrics, { intervalMs: 100, networkDevices: () => true })
      await app.ready()
      for (let count = 0; count < 3; count += 1) await app.systemMetrics.sample()
      await app.inject('/metrics')
      const ours = childFaults()
      execSync('true')
      console.log(JSON.stringify({ ours, withOneChild: childFaults() }))`,
  )

  t.equal(code, 0, stderr)
  const { ours, withOneChild } = JSON.parse(stdout || '{}')
  t.equal(ours, 0)
  t.ok(withOneChild > 0, 'the check sees a child where there is one')
})

t.test('two applications share nothing', { skip }, async (t) => {
  const first = await build(t, { networkDevices: () => true, path: '/proc' })
  const second = await build(t)

  await first.close()
  await second.systemMetrics.sample()
  const text = await scrape(second)

  t.notMatch(text, /device="lo"/)
  t.ok(Number(readValue(text, 'system_disk_total_bytes')) > 0)
  t.equal(readValue(text, 'metrics_collector_success{collector="system"}'), 1)
})

t.test('wrong options and a second registration fail at register', async (t) => {
  const wrong: Array<[SystemMetricsOptions, RegExp]> = [
    [{ intervalMs: 0 }, /Expected option `intervalMs` to be a number ≥ 100, got 0/],
    [{ intervalMs: NaN }, /Expected option `intervalMs` to be a number > 0, at most 2147483647, got NaN/],
    [{ intervalMs: 2 ** 31 }, /Expected option `intervalMs`/],
    [{ path: '/no/such/path' }, /Expected option `path` to be a path that exists, got \/no\/such\/path/],
    [{ networkDevices: 'eth0' as never }, /Expected option `networkDevices` to be a function, got eth0/],
  ]
  for (const [options, message] of wrong) {
    const app = Fastify()
    t.teardown(() => app.close())
    await t.rejects(async () => await app.register(systemMetrics, options), { code: 'METRICS_ERR_OPTION', message })
  }

  const app = await build(t, { intervalMs: undefined, path: undefined, networkDevices: undefined })
  t.ok(app.systemMetrics)
  const twice = Fastify()
  t.teardown(() => twice.close())
  await twice.register(systemMetrics)
  await t.rejects(async () => await twice.register(systemMetrics), { code: 'FST_ERR_DEC_ALREADY_PRESENT' })
})

/** Replaces `statfs` for the length of a test, also for modules that have imported it. */
function replaceStatfs(t: Test, statfs: () => Promise<never>): void {
  const original = fs.statfs
  t.teardown(() => {
    fs.statfs = original
    syncBuiltinESMExports()
  })
  fs.statfs = statfs as never
  syncBuiltinESMExports()
}

t.test('a path that does not exist is refused, however long the file system takes to say so', async (t) => {
  replaceStatfs(t, async () => {
    await sleep(1500)
    throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
  })
  await t.rejects(build(t, { path: '/no/such/path' }), { code: 'METRICS_ERR_OPTION', message: /`path`/ })
})

t.test('a file system that hangs delays the start by half of the plugin timeout, and the log says so', async (t) => {
  const waiting: Array<(error: Error) => void> = []
  replaceStatfs(t, () => new Promise((_resolve, reject) => waiting.push(reject)))
  const lines: Array<{ level: number; msg: string }> = []
  const app = Fastify({
    pluginTimeout: 1000,
    logger: { level: 'warn', stream: { write: (line: string) => lines.push(JSON.parse(line)) } },
  })
  t.teardown(() => app.close())
  await app.register(systemMetrics, { intervalMs: 60_000, path: '/mnt/gone' })

  const text = await scrape(app)

  t.match(lines, [{ level: 40, path: '/mnt/gone', msg: /did not end within 500 ms: the file system of path may hang/ }])
  t.equal(readValue(text, 'system_disk_total_bytes'), undefined, 'unknown is absent')
  t.ok(readValue(text, 'system_memory_total_bytes')! > 0, 'everything else is measured')

  for (const fail of waiting) fail(Object.assign(new Error('no such file'), { code: 'ENOENT' }))
  await until('the late answer in the log', () => lines.length === 2)
  t.match(lines[1], { level: 50, msg: 'Expected option `path` to be a path that exists, got /mnt/gone' })
  t.equal(readValue(await scrape(app), 'metrics_collector_success{collector="system"}'), 0)
})

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

function df(folder: string): { size: number; used: number; available: number; inodes: number; inodesUsed: number } {
  const columns = ['size', 'used', 'avail', 'itotal', 'iused']
  const options = { encoding: 'utf8', timeout: 60_000 } as const
  const text = execFileSync('df', ['-B1', `--output=${columns.join()}`, folder], options)
  const numbers = text.trim().split('\n')[1]!.trim().split(/\s+/).map(Number)
  const [size = NaN, used = NaN, available = NaN, inodes = NaN, inodesUsed = NaN] = numbers
  return { size, used, available, inodes, inodesUsed }
}

t.test('the disk is what df says', { skip }, async (t) => {
  for (const folder of [undefined, '/dev']) {
    const app = await build(t, { path: folder })
    await secondSample(app)

    // Other programs write to this disk: a sample counts if it hardly changed around it.
    const { size, used, available, inodes, inodesUsed } = await until('a sample while the disk is steady', async () => {
      const before = df(folder ?? process.cwd())
      await app.systemMetrics.sample()
      const after = df(folder ?? process.cwd())
      return Math.abs(after.used - before.used) < TOLERANCE_BYTES && after
    })
    const text = await scrape(app)

    t.equal(readValue(text, 'system_disk_total_bytes'), size)
    t.ok(Math.abs(readValue(text, 'system_disk_used_bytes')! - used) < TOLERANCE_BYTES)
    t.ok(Math.abs(readValue(text, 'system_disk_percent')! - (100 * used) / (used + available)) < 0.5)
    const inodesPercent = readValue(text, 'system_disk_inodes_percent')
    if (inodes === 0) t.equal(inodesPercent, undefined, 'a file system that makes inodes as it needs them')
    else t.ok(Math.abs(inodesPercent! - (100 * inodesUsed) / inodes) < 0.5)
  }
})

t.test('a file system without blocks has no percent', { skip }, async (t) => {
  const app = await build(t, { path: '/proc' })

  const text = await scrape(app)

  t.equal(readValue(text, 'system_disk_total_bytes'), 0)
  t.equal(readValue(text, 'system_disk_percent'), undefined)
  t.equal(readValue(text, 'system_disk_inodes_percent'), undefined)
})

t.test('a counter of the system that begins again never lets ours go down', async (t) => {
  let total = 0
  let last: number | undefined
  const totals = [100, 250, 250, 40, 90, 0, 5].map((now) => {
    total += increase(last, now)
    last = now
    return total
  })

  t.strictSame(totals, [100, 250, 250, 290, 340, 340, 345])
})

t.test('an option that does not exist fails with the name that is meant', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(async () => void (await app.register(systemMetrics, { interval: [] } as object)), {
    code: 'METRICS_ERR_UNKNOWN_OPTION',
    message: /system-metrics, got `interval`; did you mean `intervalMs`/,
  })
})
