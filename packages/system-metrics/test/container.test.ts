import { spawnSync } from 'node:child_process'
import t from 'tap'
import { program, readMeminfo, readValue, samplesOf, writeTree } from './helpers.ts'

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
