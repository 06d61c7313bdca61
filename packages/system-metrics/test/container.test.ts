import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { type Cgroup, readCgroup } from '../src/cgroup.ts'
import { parsePressure } from '../src/pressure.ts'
import { build, program, readMeminfo, readValue, samplesOf, scrape, skip, temporary, writeTree } from './helpers.ts'

const canMount = process.platform === 'linux' && spawnSync('unshare', ['-m', 'true'], { timeout: 60_000 }).status === 0
const skipMount = canMount ? false : 'needs the right to mount in a namespace of its own'

t.test('in a container memory percent is of its limit', { skip: skipMount }, async (t) => {
  const MEBIBYTE = 1024 * 1024
  const cgroup = writeTree(t, {
    'memory.max': `${512 * MEBIBYTE}\n`,
    'memory.current': `${300 * MEBIBYTE}\n`,
    'memory.stat': `inactive_file ${40 * MEBIBYTE}\nactive_file ${3 * MEBIBYTE}\nslab_reclaimable ${MEBIBYTE}\n`,
    'cpu.max': '50000 100000\n',
    'cpu.stat': 'usage_usec 4500000\nthrottled_usec 1500000\n',
    'memory.pressure': 'some avg10=0.00 total=2500000\nfull avg10=0.00 total=1500000\n',
  })

  // The plugin reads the system's own paths. The fixture is mounted over them, for this child only.
  const child = spawnSync(
    'unshare',
    [
      '-m',
      'sh',
      '-c',
      // Without the loader that tap adds to NODE_OPTIONS.
      'mount --bind "$0" /sys/fs/cgroup && exec env -u NODE_OPTIONS "$@"',
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
        writeFileSync('/sys/fs/cgroup/cpu.stat', 'usage_usec 5000000\\nthrottled_usec 1750000')
        writeFileSync('/sys/fs/cgroup/memory.pressure', 'some avg10=0.00 total=4000000')
        const throttled = await scrape()
        writeFileSync('/sys/fs/cgroup/memory.max', '${2 ** 60}')
        const beyond = await scrape()
        writeFileSync('/sys/fs/cgroup/memory.max', 'max')
        rmSync('/sys/fs/cgroup/cpu.max')
        console.log(JSON.stringify({ limited, throttled, beyond, unlimited: await scrape() }))`),
    ],
    { encoding: 'utf8', timeout: 60_000, killSignal: 'SIGKILL' },
  )

  t.equal(child.status, 0, child.stderr)
  const { limited, throttled, beyond, unlimited } = JSON.parse(child.stdout || '{}')
  t.equal(readValue(limited, 'container_memory_limit_bytes'), 512 * MEBIBYTE)
  t.equal(readValue(limited, 'container_memory_used_bytes'), 256 * MEBIBYTE)
  t.equal(readValue(limited, 'container_memory_working_set_bytes'), 260 * MEBIBYTE)
  t.equal(readValue(limited, 'system_memory_percent'), 50)
  t.equal(readValue(limited, 'container_cpu_limit_cores'), 0.5)
  t.equal(readValue(limited, 'container_cpu_usage_seconds_total'), 4.5)
  t.equal(readValue(throttled, 'container_cpu_usage_seconds_total'), 5)
  const pressure = (kind: string) => `system_pressure_seconds_total{kind="${kind}",resource="memory"}`
  t.equal(readValue(limited, pressure('some')), 2.5, 'the pressure in the container, not on the machine')
  t.equal(readValue(limited, pressure('full')), 1.5)
  t.equal(readValue(throttled, pressure('some')), 4)
  t.equal(readValue(throttled, pressure('full')), undefined)
  t.notMatch(limited, /resource="io"/, 'the totals of two sources do not mix')
  t.equal(readValue(limited, 'system_memory_total_bytes'), readMeminfo('MemTotal'), 'the total stays the machine’s')
  t.equal(readValue(limited, 'container_cpu_throttled_seconds_total'), 1.5)
  t.equal(readValue(throttled, 'container_cpu_throttled_seconds_total'), 1.75)
  const machinePercent =
    (100 * readValue(beyond, 'system_memory_used_bytes')!) / readValue(beyond, 'system_memory_total_bytes')!
  t.equal(readValue(beyond, 'container_memory_limit_bytes'), 2 ** 60)
  t.equal(readValue(beyond, 'system_memory_percent'), machinePercent, 'a limit above what the machine has')
  t.notMatch(samplesOf(unlimited).join('\n'), /^container_/m)
})

const LIMITED = {
  'memory.max': '1000\n',
  'memory.current': '700\n',
  'memory.stat': 'anon 400\nfile 300\ninactive_file 200\nactive_file 100\n',
}
const UNLIMITED = { 'memory.max': 'max\n', 'memory.current': '700\n', 'memory.stat': 'inactive_file 200\n' }
interface Case {
  what: string
  self: string
  files: Record<string, string>
  expected: Cgroup
}

/** Version 1 as a hybrid machine with kernel 6.18 shows it: memory.stat is recorded there, shortened. */
const STAT_1 = `cache 488468480
rss 277196800
inactive_file 389783552
active_file 98684928
hierarchical_memory_limit 1073741824
total_cache 488468480
total_inactive_file 389783552
total_active_file 98684928
total_unevictable 0`
const MEMORY_1 = {
  'memory.limit_in_bytes': '1073741824\n',
  'memory.usage_in_bytes': '773087232\n',
  'memory.stat': STAT_1,
}
const USAGE_1 = { usedBytes: 284618752, workingSetBytes: 383303680 }
const NO_LIMIT = '9223372036854771712'
const VERSION_1: Case[] = [
  {
    what: 'version 1: a container sees the path of the machine, and its own level as the root',
    self: '9:name=systemd:/\n4:memory:/docker/1\n2:cpu,cpuacct:/docker/1\n0::/\n',
    files: {
      ...under('memory', MEMORY_1),
      ...under('cpu', {
        'cpu.cfs_quota_us': '150000',
        'cpu.cfs_period_us': '100000',
        'cpu.stat': 'nr_periods 9\nnr_throttled 3\nthrottled_time 2500000000',
      }),
      ...under('cpuacct', { 'cpuacct.usage': '16813084861057' }),
    },
    expected: {
      memory: { limitBytes: 1073741824, ...USAGE_1 },
      cpu: { usageSeconds: 16813.084861057, limit: { cores: 1.5, throttledSeconds: 2.5 } },
    },
  },
  {
    what: 'version 1 without limits',
    self: '4:memory:/\n1:cpu:/\n',
    files: {
      ...under('memory', {
        ...MEMORY_1,
        'memory.limit_in_bytes': NO_LIMIT,
        'memory.stat': STAT_1.replace('1073741824', NO_LIMIT),
      }),
      ...under('cpu', { 'cpu.cfs_quota_us': '-1', 'cpu.cfs_period_us': '100000' }),
      ...under('cpuacct', { 'cpuacct.usage': '2000000000' }),
    },
    expected: { cpu: { usageSeconds: 2 } },
  },
  {
    what: 'version 1: a limit above that is not mounted',
    self: '4:memory:/kubepods/pod1/container\n',
    files: under('memory', { ...MEMORY_1, 'memory.limit_in_bytes': NO_LIMIT }),
    expected: { memory: { limitBytes: 1073741824, ...USAGE_1 } },
  },
  {
    what: 'version 1: a limit above that is mounted, with what is used there',
    self: '4:memory:/pod/container\n',
    files: {
      ...under('memory/pod', { ...MEMORY_1, 'memory.usage_in_bytes': '900000000' }),
      ...under('memory/pod/container', { ...MEMORY_1, 'memory.limit_in_bytes': NO_LIMIT }),
    },
    expected: { memory: { limitBytes: 1073741824, usedBytes: 411531520, workingSetBytes: 510216448 } },
  },
]

const CASES: Case[] = [
  {
    what: 'a container sees its own cgroup as the root',
    self: '0::/\n',
    files: LIMITED,
    expected: { memory: { limitBytes: 1000, usedBytes: 400, workingSetBytes: 500 } },
  },
  { what: '`max` is no limit', self: '0::/\n', files: UNLIMITED, expected: {} },
  {
    what: 'a service has its limit below the root, which has no such file',
    self: '1:name=systemd:/\n0::/system.slice/app.service\n',
    files: { ...under('system.slice', UNLIMITED), ...under('system.slice/app.service', LIMITED) },
    expected: { memory: { limitBytes: 1000, usedBytes: 400, workingSetBytes: 500 } },
  },
  {
    what: 'a smaller limit above counts, with what is used there',
    self: '0::/pod/container\n',
    files: {
      ...under('pod', { 'memory.max': '900', 'memory.current': '800', 'memory.stat': 'inactive_file 50' }),
      ...under('pod/container', LIMITED),
    },
    expected: { memory: { limitBytes: 900, usedBytes: 750, workingSetBytes: 750 } },
  },
  {
    what: 'a larger limit above does not',
    self: '0::/pod/container\n',
    files: {
      ...under('pod', { 'memory.max': '5000', 'memory.current': '800', 'memory.stat': 'inactive_file 50' }),
      ...under('pod/container', LIMITED),
    },
    expected: { memory: { limitBytes: 1000, usedBytes: 400, workingSetBytes: 500 } },
  },
  {
    what: 'of equal limits the one above counts, where more is used',
    self: '0::/pod/container\n',
    files: {
      ...under('pod', { 'memory.max': '1000', 'memory.current': '990', 'memory.stat': 'inactive_file 0' }),
      ...under('pod/container', LIMITED),
    },
    expected: { memory: { limitBytes: 1000, usedBytes: 990, workingSetBytes: 990 } },
  },
  {
    what: 'a throttled container',
    self: '0::/\n',
    files: {
      'cpu.max': '50000 100000\n',
      'cpu.stat': 'usage_usec 9000000\nnr_periods 12\nnr_throttled 7\nthrottled_usec 2500000\n',
    },
    expected: { cpu: { usageSeconds: 9, limit: { cores: 0.5, throttledSeconds: 2.5 } } },
  },
  {
    what: 'the tightest processor limit is the smallest share of a period',
    self: '0::/pod/container\n',
    files: {
      ...under('pod', { 'cpu.max': '20000 10000', 'cpu.stat': 'throttled_usec 1000000' }),
      ...under('pod/container', { 'cpu.max': '100000 100000', 'cpu.stat': 'throttled_usec 4000000' }),
    },
    expected: { cpu: { limit: { cores: 1, throttledSeconds: 4 } } },
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
    expected: { memory: { limitBytes: 1000, usedBytes: 400, workingSetBytes: 500 } },
  },
  {
    what: 'without a processor limit the usage is that of the own level',
    self: '0::/pod/container\n',
    files: {
      ...under('pod', { 'cpu.max': 'max 100000', 'cpu.stat': 'usage_usec 7000000' }),
      ...under('pod/container', { 'cpu.max': 'max 100000', 'cpu.stat': 'usage_usec 2000000\nuser_usec 1500000' }),
    },
    expected: { cpu: { usageSeconds: 2 } },
  },
  {
    what: 'the root of a machine, which has a usage and no limit file',
    self: '0::/\n',
    files: { 'cpu.stat': 'usage_usec 7000000\n' },
    expected: {},
  },
  {
    what: 'a cgroup that was deleted under the process leads to the level above',
    self: '0::/pod/container (deleted)\n',
    files: under('pod', LIMITED),
    expected: { memory: { limitBytes: 1000, usedBytes: 400, workingSetBytes: 500 } },
  },
  { what: 'version 1, which has no such files', self: '4:memory:/docker/1\n', files: LIMITED, expected: {} },
  ...VERSION_1,
]

t.test('cgroup limits', async (t) => {
  for (const { what, self, files, expected } of CASES) {
    const root = writeTree(t, { ...under('cgroup', files), self })

    t.strictSame(await readCgroup({ self: path.join(root, 'self'), mount: path.join(root, 'cgroup') }), expected, what)
  }

  const nowhere = path.join(temporary(t), 'nowhere')
  t.strictSame(await readCgroup({ self: nowhere, mount: nowhere }), {}, 'a system without cgroups')
  const broken = writeTree(t, { 'cgroup/memory.max/is-a-folder': '', self: '0::/\n' })
  await t.rejects(readCgroup({ self: path.join(broken, 'self'), mount: path.join(broken, 'cgroup') }), {
    code: 'EISDIR',
  })
})

t.test('the pressure on the machine is what /proc/pressure says, where the kernel has it', { skip }, async (t) => {
  // Recorded with kernel 6.18, and from a kernel before 5.13, which has no `full` of the processors.
  t.strictSame(
    parsePressure(`some avg10=85.72 avg60=79.16 avg300=49.19 total=6213545297
full avg10=0.00 avg60=0.04 avg300=0.45 total=49825508\n`),
    { some: 6213.545297, full: 49.825508 },
  )
  t.strictSame(parsePressure('some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n'), { some: 1.5 })

  const before = readPressures()
  const app = await build(t)
  const text = await scrape(app)
  const after = readPressures()
  for (const [series, seconds] of Object.entries(before)) {
    const value = readValue(text, series)!
    t.ok(value >= seconds && value <= after[series]!, `${series} ${value}`)
  }
  if (Object.keys(before).length === 0) t.notMatch(text, /^system_pressure_seconds_total\{/m)
})

/** Returns the totals of this process's cgroup, or else of the machine, by series. */
function readPressures(): Record<string, number> {
  const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1]
  const files = [`/sys/fs/cgroup${own}/%s.pressure`, `/sys/fs/cgroup/unified${own}/%s.pressure`, '/proc/pressure/%s']
  const file = files.find((name) => existsSync(name.replace('%s', 'memory')))
  if (file === undefined) return {}
  const totals = ['cpu', 'memory', 'io'].flatMap((resource) =>
    Array.from(
      readFileSync(file.replace('%s', resource), 'utf8').matchAll(/^(\w+) .*total=(\d+)/gm),
      ([, kind, total]) => [
        `system_pressure_seconds_total{kind="${kind}",resource="${resource}"}`,
        Number(total) / 1e6,
      ],
    ),
  )
  return Object.fromEntries(totals)
}

function under(folder: string, files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([name, text]) => [path.join(folder, name), text]))
}
