import { spawnSync } from 'node:child_process'
import path from 'node:path'
import t from 'tap'
import { type Cgroup, readCgroup } from '../src/cgroup.ts'
import { program, readMeminfo, readValue, samplesOf, temporary, writeTree } from './helpers.ts'

const canMount = process.platform === 'linux' && spawnSync('unshare', ['-m', 'true'], { timeout: 60_000 }).status === 0
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
        writeFileSync('/sys/fs/cgroup/cpu.stat', 'throttled_usec 1750000')
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

const LIMITED = {
  'memory.max': '1000\n',
  'memory.current': '700\n',
  'memory.stat': 'anon 400\nfile 300\ninactive_file 200\nactive_file 100\n',
}
const UNLIMITED = { 'memory.max': 'max\n', 'memory.current': '700\n', 'memory.stat': 'inactive_file 200\n' }
const CASES: Array<{ what: string; self: string; files: Record<string, string>; expected: Cgroup }> = [
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

function under(folder: string, files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([name, text]) => [path.join(folder, name), text]))
}
