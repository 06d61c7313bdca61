import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { availableParallelism, tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { readValue, until } from '@data20/dev-services'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { type Cgroup, readCgroup } from '../src/cgroup.ts'
import { busyPercent, parseStat } from '../src/cpu.ts'
import { type SystemMetricsOptions, systemMetrics } from '../src/index.ts'
import { increase, parseDevices } from '../src/network.ts'
import { createSampler } from '../src/sample.ts'

/** The truth is read from /proc, which only Linux has. */
const skip = process.platform === 'linux' ? false : 'the truth is read from /proc'
/** What the machine may change between our reading and the plugin's. */
const TOLERANCE_BYTES = 64 * 1024 * 1024

async function build(t: Test, options: SystemMetricsOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(systemMetrics, { intervalMs: 60_000, ...options })
  await app.ready()
  return app
}

async function scrape(app: FastifyInstance): Promise<string> {
  const response = await app.inject('/metrics')
  return response.body
}

/** The lines of our series, without those of metrics-core. */
function samplesOf(text: string): string[] {
  return text.split('\n').filter((line) => /^(system|container)_/.test(line))
}

function readMeminfo(key: string): number {
  const line = readFileSync('/proc/meminfo', 'utf8')
    .split('\n')
    .find((line) => line.startsWith(`${key}:`))
  return Number(line?.split(/\s+/)[1]) * 1024
}

function readDeviceBytes(device: string): { received: number; transmitted: number } {
  const line = readFileSync('/proc/net/dev', 'utf8')
    .split('\n')
    .find((line) => line.trim().startsWith(`${device}:`))
  const fields = line?.trim().split(/[:\s]+/) ?? []
  return { received: Number(fields[1]), transmitted: Number(fields[9]) }
}

function temporary(t: Test): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'system-metrics-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Writes files by path below a new folder. */
function writeTree(t: Test, files: Record<string, string>): string {
  const root = temporary(t)
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(root, name)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
  return root
}

/** Sends bytes through the loopback device. */
async function sendLoopback(bytes: number): Promise<void> {
  const server = createServer((_request, response) => response.end(Buffer.alloc(bytes)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.end('GET / HTTP/1.0\r\n\r\n').resume()
  await once(socket, 'close')
  server.close()
}

/** A program that runs apart from the test runner, on what `tsc -b` built. */
function program(body: string): string {
  const url = (name: string) => JSON.stringify(import.meta.resolve(name))
  const built = JSON.stringify(new URL('../dist/index.js', import.meta.url).href)
  return `import Fastify from ${url('fastify')}
    import { systemMetrics } from ${built}
    const app = Fastify()
    ${body}`
}

/** Environment of a program: what the test runner puts into NODE_OPTIONS is not for it. */
const env = { ...process.env, NODE_OPTIONS: '' }
const cwd = path.dirname(fileURLToPath(import.meta.url))

t.test('registered alone, it answers GET /metrics', { skip }, async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(systemMetrics)

  const response = await app.inject('/metrics')

  t.equal(response.statusCode, 200)
  t.ok(Number(readValue(response.body, 'system_memory_total_bytes')) > 0)
  t.equal(readValue(response.body, 'metrics_collector_success{collector="system"}'), 1)
})

t.test('names, types and help texts are public API', async (t) => {
  const app = await build(t)

  const headers = (await scrape(app)).split('\n').filter((line) => /^# (HELP|TYPE) (system|container)_/.test(line))

  t.strictSame(headers, [
    '# HELP system_cpu_percent Part of the time since the previous sample in which the processors of the machine worked, 0 to 100; waiting for a disk is idle.',
    '# TYPE system_cpu_percent gauge',
    '# HELP system_memory_percent Used memory, 0 to 100: of the limit of the container where a cgroup v2 limit below the memory of the machine exists, otherwise of the machine.',
    '# TYPE system_memory_percent gauge',
    '# HELP system_memory_used_bytes Memory of the machine that is not available to programs: total less available.',
    '# TYPE system_memory_used_bytes gauge',
    '# HELP system_memory_total_bytes Memory of the machine.',
    '# TYPE system_memory_total_bytes gauge',
    '# HELP system_swap_used_bytes Swap space of the machine in use.',
    '# TYPE system_swap_used_bytes gauge',
    '# HELP system_disk_percent Used part of the space of the file system that programs without privileges can use, 0 to 100, as df shows it.',
    '# TYPE system_disk_percent gauge',
    '# HELP system_disk_used_bytes Used space of the file system.',
    '# TYPE system_disk_used_bytes gauge',
    '# HELP system_disk_total_bytes Size of the file system, with the space that is reserved for the administrator.',
    '# TYPE system_disk_total_bytes gauge',
    '# HELP system_load_average Mean number of tasks that ran, could run or waited for a disk over the last 1, 5 and 15 minutes.',
    '# TYPE system_load_average gauge',
    '# HELP system_network_receive_bytes_total Bytes that a network device received.',
    '# TYPE system_network_receive_bytes_total counter',
    '# HELP system_network_transmit_bytes_total Bytes that a network device transmitted.',
    '# TYPE system_network_transmit_bytes_total counter',
    '# HELP container_memory_limit_bytes The smallest cgroup v2 memory limit that applies to this process; absent where there is none.',
    '# TYPE container_memory_limit_bytes gauge',
    '# HELP container_memory_used_bytes Memory that counts towards the limit, without file pages that can be dropped; absent where there is no limit.',
    '# TYPE container_memory_used_bytes gauge',
    '# HELP container_cpu_throttled_seconds_total Time for which the tightest cgroup v2 processor limit kept this container from running; absent where there is no limit.',
    '# TYPE container_cpu_throttled_seconds_total counter',
  ])
})

t.test('series and their labels are public API', { skip }, async (t) => {
  const app = await build(t, { networkDevices: (device) => device === 'lo' })
  await until('a second sample', async () => readValue(await scrape(app), 'system_cpu_percent'))

  const series = samplesOf(await scrape(app)).map((line) => line.slice(0, line.lastIndexOf(' ')))

  t.strictSame(
    series.filter((name) => !name.startsWith('container_')),
    [
      'system_cpu_percent',
      'system_memory_percent',
      'system_memory_used_bytes',
      'system_memory_total_bytes',
      'system_swap_used_bytes',
      'system_disk_percent',
      'system_disk_used_bytes',
      'system_disk_total_bytes',
      'system_load_average{window="1m"}',
      'system_load_average{window="5m"}',
      'system_load_average{window="15m"}',
      'system_network_receive_bytes_total{device="lo"}',
      'system_network_transmit_bytes_total{device="lo"}',
    ],
  )
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

t.test('memory and swap are what /proc/meminfo says', { skip }, async (t) => {
  const app = await build(t)

  const text = await scrape(app)

  const total = readMeminfo('MemTotal')
  const used = total - readMeminfo('MemAvailable')
  const swapUsed = readMeminfo('SwapTotal') - readMeminfo('SwapFree')
  t.equal(readValue(text, 'system_memory_total_bytes'), total)
  t.ok(Math.abs(readValue(text, 'system_memory_used_bytes')! - used) < TOLERANCE_BYTES)
  t.ok(Math.abs(readValue(text, 'system_swap_used_bytes')! - swapUsed) < TOLERANCE_BYTES)
  if (readValue(text, 'container_memory_limit_bytes') === undefined) {
    t.ok(Math.abs(readValue(text, 'system_memory_percent')! - (100 * used) / total) < 2)
  }
})

t.test('the disk is what df says', { skip }, async (t) => {
  for (const folder of [undefined, '/dev']) {
    const app = await build(t, { path: folder })

    const text = await scrape(app)

    const columns = ['size', 'used', 'avail']
    const df = execFileSync('df', ['-B1', `--output=${columns.join()}`, folder ?? process.cwd()], { encoding: 'utf8' })
    const [size, used, available] = df.trim().split('\n')[1]!.trim().split(/\s+/).map(Number)
    t.equal(readValue(text, 'system_disk_total_bytes'), size)
    t.ok(Math.abs(readValue(text, 'system_disk_used_bytes')! - used!) < TOLERANCE_BYTES)
    t.ok(Math.abs(readValue(text, 'system_disk_percent')! - (100 * used!) / (used! + available!)) < 0.5)
  }
})

t.test('a file system without blocks has no percent', { skip }, async (t) => {
  const app = await build(t, { path: '/proc' })

  const text = await scrape(app)

  t.equal(readValue(text, 'system_disk_total_bytes'), 0)
  t.equal(readValue(text, 'system_disk_percent'), undefined)
})

t.test('the load is what /proc/loadavg says', { skip }, async (t) => {
  const app = await build(t)

  const text = await scrape(app)

  const loads = readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).map(Number)
  for (const [index, window] of ['1m', '5m', '15m'].entries()) {
    // Recomputed by the kernel every 5 seconds: one step of the first lies within 0.1 of a task per task that runs.
    t.ok(Math.abs(readValue(text, `system_load_average{window="${window}"}`)! - loads[index]!) < 0.5, window)
  }
})

t.test('network counters lie between two readings of /proc/net/dev', { skip }, async (t) => {
  const app = await build(t, { networkDevices: () => true })
  for (const bytes of [1_000, 2_000_000]) {
    await sendLoopback(bytes)
    const before = readDeviceBytes('lo')
    await app.systemMetrics.sample()
    const after = readDeviceBytes('lo')

    const text = await scrape(app)

    const received = readValue(text, 'system_network_receive_bytes_total{device="lo"}')!
    const transmitted = readValue(text, 'system_network_transmit_bytes_total{device="lo"}')!
    t.ok(received >= before.received && received <= after.received, `received ${received}`)
    t.ok(transmitted >= before.transmitted && transmitted <= after.transmitted, `transmitted ${transmitted}`)
    t.ok(received >= bytes)
  }
})

t.test('the loopback device is left out by default', { skip }, async (t) => {
  const app = await build(t)

  t.notMatch(await scrape(app), /device="lo"/)
})

t.test('a device filter that throws leaves devices out and is counted', { skip }, async (t) => {
  const app = await build(t, {
    networkDevices() {
      throw new Error('no')
    },
  })

  const text = await scrape(app)

  t.notMatch(text, /system_network_receive_bytes_total\{/)
  t.ok(Number(readValue(text, 'metrics_errors_total{plugin="system-metrics"}')) > 0)
  t.equal(readValue(text, 'metrics_collector_success{collector="system"}'), 1)
})

t.test('the processors are as busy as /proc/stat says over the same time', { skip }, async (t) => {
  const app = await build(t)
  await until('a second sample', async () => readValue(await scrape(app), 'system_cpu_percent'))
  const burner = spawn(process.execPath, ['-e', 'for (;;);'], { env, stdio: 'ignore' })
  t.teardown(() => burner.kill('SIGKILL'))
  await once(burner, 'spawn')

  const before = readStat()
  await app.systemMetrics.sample()
  await sleep(1500)
  const after = readStat()
  await app.systemMetrics.sample()
  const percent = readValue(await scrape(app), 'system_cpu_percent')!

  const truth = 100 * (1 - (after.idle - before.idle) / (after.total - before.total))
  t.ok(percent >= 0 && percent <= 100)
  t.ok(Math.abs(percent - truth) < 5, `${percent}, /proc/stat ${truth}`)
  t.ok(percent > 70 / availableParallelism(), `one of ${availableParallelism()} processors burns: ${percent}`)

  function readStat(): { idle: number; total: number } {
    const fields = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.split(/\s+/).slice(1, 9).map(Number)
    return { idle: fields[3]! + fields[4]!, total: fields.reduce((sum, field) => sum + field) }
  }
})

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

t.test('a scrape never samples', { skip }, async (t) => {
  const app = await build(t, { networkDevices: () => true })
  await until('a second sample', async () => readValue(await scrape(app), 'system_cpu_percent'))

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

  t.equal(samplesAtReady, 1)
  t.equal(samples, samplesAtClose)
})

t.test('a failed sample shows in the collector and keeps the last values', { skip }, async (t) => {
  const folder = path.join(temporary(t), 'disk')
  mkdirSync(folder)
  const app = await build(t, { path: folder })
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

t.test('a reading that hangs is not started again, goes stale, and holds up no other', async (t) => {
  let answer = () => {}
  const hanging = new Promise<void>((resolve) => {
    answer = resolve
  })
  const starts = { hanging: 0, other: 0 }
  const sampler = createSampler(
    {
      hanging() {
        starts.hanging += 1
        return hanging
      },
      other() {
        starts.other += 1
      },
    },
    100,
  )
  t.teardown(() => sampler.stop())

  t.doesNotThrow(() => sampler.check())
  await until('five samples of the other', () => starts.other >= 5)

  t.equal(starts.hanging, 1)
  t.throws(() => sampler.check(), /Expected a sample of hanging every 100 ms, got the last \d+ ms ago/)

  answer()
  await sampler.sample()
  t.doesNotThrow(() => sampler.check())
})

t.test('a reading that throws at once is read again', async (t) => {
  let reads = 0
  const sampler = createSampler(
    {
      load() {
        reads += 1
        if (reads === 1) throw new Error('not now')
      },
    },
    60_000,
  )
  t.teardown(() => sampler.stop())

  await sampler.sample()
  t.throws(() => sampler.check(), { message: 'The last sample of load failed', cause: { message: 'not now' } })
  await sampler.sample()
  t.doesNotThrow(() => sampler.check())
  t.equal(reads, 2)
})

t.test('a process that has nothing else to do ends, and no child process was ever started', { skip }, async (t) => {
  const child = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      program(`
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
        console.log(JSON.stringify({ ours, withOneChild: childFaults() }))`),
    ],
    { env, cwd, encoding: 'utf8', timeout: 20_000 },
  )

  t.equal(child.status, 0, child.stderr)
  const { ours, withOneChild } = JSON.parse(child.stdout || '{}')
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
    [{ intervalMs: 0 }, /Expected option `intervalMs` to be a number from 100 to 2147483647, got 0/],
    [{ intervalMs: NaN }, /Expected option `intervalMs` to be a number from 100 to 2147483647, got NaN/],
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

t.test('devices are read from the text of /proc/net/dev', async (t) => {
  const devices = parseDevices(
    [
      'Inter-|   Receive                                                |  Transmit',
      ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed',
      '    lo:   54537     517    0    0    0     0          0         0    54537     517    0    0    0     0       0          0',
      'veth1a2b@if3:12345678901 1 0 0 0 0 0 0 918288 8162 0 0 0 0 0 0',
      '',
    ].join('\n'),
  )

  t.strictSame(
    [...devices],
    [
      ['lo', { received: 54537, transmitted: 54537 }],
      ['veth1a2b@if3', { received: 12345678901, transmitted: 918288 }],
    ],
  )
})

t.test('cgroup limits', async (t) => {
  const LIMITED = {
    'memory.max': '1000\n',
    'memory.current': '700\n',
    'memory.stat': 'anon 400\nfile 300\ninactive_file 200\nactive_file 100\n',
  }
  const UNLIMITED = { 'memory.max': 'max\n', 'memory.current': '700\n', 'memory.stat': 'inactive_file 200\n' }
  const cases: Array<{ what: string; self: string; files: Record<string, string>; expected: Cgroup }> = [
    {
      what: 'a container sees its own cgroup as the root',
      self: '0::/\n',
      files: LIMITED,
      expected: { memory: { limitBytes: 1000, usedBytes: 500 } },
    },
    { what: '`max` is no limit', self: '0::/\n', files: UNLIMITED, expected: {} },
    {
      what: 'a service has its limit below the root, which has no such file',
      self: '1:name=systemd:/\n0::/system.slice/app.service\n',
      files: { ...under('system.slice', UNLIMITED), ...under('system.slice/app.service', LIMITED) },
      expected: { memory: { limitBytes: 1000, usedBytes: 500 } },
    },
    {
      what: 'a smaller limit above counts, with what is used there',
      self: '0::/pod/container\n',
      files: {
        ...under('pod', { 'memory.max': '900', 'memory.current': '800', 'memory.stat': 'inactive_file 50' }),
        ...under('pod/container', LIMITED),
      },
      expected: { memory: { limitBytes: 900, usedBytes: 750 } },
    },
    {
      what: 'a larger limit above does not',
      self: '0::/pod/container\n',
      files: {
        ...under('pod', { 'memory.max': '5000', 'memory.current': '800', 'memory.stat': 'inactive_file 50' }),
        ...under('pod/container', LIMITED),
      },
      expected: { memory: { limitBytes: 1000, usedBytes: 500 } },
    },
    {
      what: 'of equal limits the one above counts, where more is used',
      self: '0::/pod/container\n',
      files: {
        ...under('pod', { 'memory.max': '1000', 'memory.current': '990', 'memory.stat': 'inactive_file 0' }),
        ...under('pod/container', LIMITED),
      },
      expected: { memory: { limitBytes: 1000, usedBytes: 990 } },
    },
    {
      what: 'a throttled container',
      self: '0::/\n',
      files: {
        'cpu.max': '50000 100000\n',
        'cpu.stat': 'usage_usec 9\nnr_periods 12\nnr_throttled 7\nthrottled_usec 2500000\n',
      },
      expected: { cpu: { throttledSeconds: 2.5 } },
    },
    {
      what: 'the tightest processor limit is the smallest share of a period',
      self: '0::/pod/container\n',
      files: {
        ...under('pod', { 'cpu.max': '20000 10000', 'cpu.stat': 'throttled_usec 1000000' }),
        ...under('pod/container', { 'cpu.max': '100000 100000', 'cpu.stat': 'throttled_usec 4000000' }),
      },
      expected: { cpu: { throttledSeconds: 4 } },
    },
    {
      what: 'no processor limit, no throttling',
      self: '0::/\n',
      files: { 'cpu.max': 'max 100000\n', 'cpu.stat': 'throttled_usec 0\n' },
      expected: {},
    },
    {
      what: 'a cgroup outside of the namespace and a folder that is not mounted lead to the root',
      self: '0::/../../elsewhere\n',
      files: LIMITED,
      expected: { memory: { limitBytes: 1000, usedBytes: 500 } },
    },
    { what: 'cgroup v1 only', self: '4:memory:/docker/1\n', files: LIMITED, expected: {} },
  ]
  for (const { what, self, files, expected } of cases) {
    const root = writeTree(t, { ...under('cgroup', files), self })

    t.strictSame(await readCgroup({ self: path.join(root, 'self'), mount: path.join(root, 'cgroup') }), expected, what)
  }

  const nowhere = path.join(temporary(t), 'nowhere')
  t.strictSame(await readCgroup({ self: nowhere, mount: nowhere }), {}, 'a system without cgroups')
  const broken = writeTree(t, { 'cgroup/memory.max/is-a-folder': '', self: '0::/\n' })
  await t.rejects(readCgroup({ self: path.join(broken, 'self'), mount: path.join(broken, 'cgroup') }), {
    code: 'EISDIR',
  })

  function under(folder: string, files: Record<string, string>): Record<string, string> {
    return Object.fromEntries(Object.entries(files).map(([name, text]) => [path.join(folder, name), text]))
  }
})

const canMount = process.platform === 'linux' && spawnSync('unshare', ['-m', 'true']).status === 0
const skipMount = canMount ? false : 'needs the right to mount in a namespace of its own'

t.test('in a container memory percent is of its limit', { skip: skipMount }, async (t) => {
  const MEBIBYTE = 1024 * 1024
  const cgroup = writeTree(t, {
    'memory.max': `${512 * MEBIBYTE}\n`,
    'memory.current': `${300 * MEBIBYTE}\n`,
    'memory.stat': `inactive_file ${44 * MEBIBYTE}\n`,
    'cpu.max': '50000 100000\n',
    'cpu.stat': 'throttled_usec 1500000\n',
  })

  // The plugin reads the system's own paths: the fixture lies over them, for this child only.
  const child = spawnSync(
    'unshare',
    [
      '-m',
      'sh',
      '-c',
      'mount --bind "$0" /sys/fs/cgroup && exec "$@"',
      cgroup,
      process.execPath,
      '--input-type=module',
      '-e',
      program(`
        import { rmSync, writeFileSync } from 'node:fs'
        const scrape = async () => {
          await app.systemMetrics.sample()
          return (await app.inject('/metrics')).body
        }
        await app.register(systemMetrics)
        const limited = await scrape()
        writeFileSync('/sys/fs/cgroup/cpu.stat', 'throttled_usec 1750000')
        const throttled = await scrape()
        writeFileSync('/sys/fs/cgroup/memory.max', '${2 ** 60}')
        const beyond = await scrape()
        writeFileSync('/sys/fs/cgroup/memory.max', 'max')
        rmSync('/sys/fs/cgroup/cpu.max')
        console.log(JSON.stringify({ limited, throttled, beyond, unlimited: await scrape() }))`),
    ],
    { env, cwd, encoding: 'utf8', timeout: 20_000 },
  )

  t.equal(child.status, 0, child.stderr)
  const { limited, throttled, beyond, unlimited } = JSON.parse(child.stdout || '{}')
  t.equal(readValue(limited, 'container_memory_limit_bytes'), 512 * MEBIBYTE)
  t.equal(readValue(limited, 'container_memory_used_bytes'), 256 * MEBIBYTE)
  t.equal(readValue(limited, 'system_memory_percent'), 50)
  t.equal(readValue(limited, 'system_memory_total_bytes'), readMeminfo('MemTotal'), 'the total stays the machine’s')
  t.equal(readValue(limited, 'container_cpu_throttled_seconds_total'), 1.5)
  t.equal(readValue(throttled, 'container_cpu_throttled_seconds_total'), 1.75)
  const machinePercent =
    (100 * readValue(beyond, 'system_memory_used_bytes')!) / readValue(beyond, 'system_memory_total_bytes')!
  t.equal(readValue(beyond, 'container_memory_limit_bytes'), 2 ** 60)
  t.equal(readValue(beyond, 'system_memory_percent'), machinePercent, 'a limit above what the machine has')
  t.notMatch(samplesOf(unlimited).join('\n'), /^container_/m)
})
