import t from 'tap'
import { build, readValue, samplesOf, scrape, skip, until } from './helpers.ts'

t.test('names, types and help texts are public API', async (t) => {
  const app = await build(t)

  const headers = (await scrape(app)).split('\n').filter((line) => /^# (HELP|TYPE) (system|container)_/.test(line))

  t.strictSame(headers, [
    '# HELP system_cpu_percent Part of the time since the previous sample in which the processors of the machine worked, 0 to 100; waiting for a disk is idle.',
    '# TYPE system_cpu_percent gauge',
    '# HELP system_memory_percent Used memory, 0 to 100: of the limit of the container where a cgroup limit below the memory of the machine exists, otherwise of the machine.',
    '# TYPE system_memory_percent gauge',
    '# HELP system_memory_used_bytes Memory of the machine that is not available to programs: total less available.',
    '# TYPE system_memory_used_bytes gauge',
    '# HELP system_memory_total_bytes Memory of the machine.',
    '# TYPE system_memory_total_bytes gauge',
    '# HELP system_swap_used_bytes Swap space of the machine in use.',
    '# TYPE system_swap_used_bytes gauge',
    '# HELP system_disk_percent Used part of the space of the file system that programs without privileges can use, 0 to 100, as df shows it.',
    '# TYPE system_disk_percent gauge',
    '# HELP system_disk_used_bytes Used space of the file system; absent where the size of its blocks is not known.',
    '# TYPE system_disk_used_bytes gauge',
    '# HELP system_disk_total_bytes Size of the file system, with the space that is reserved for the administrator; absent where the size of its blocks is not known.',
    '# TYPE system_disk_total_bytes gauge',
    '# HELP system_disk_inodes_percent Used part of the inodes of the file system, 0 to 100: without a free one no file can be made; absent where their number is not fixed.',
    '# TYPE system_disk_inodes_percent gauge',
    '# HELP system_load_average Mean number of tasks that ran, could run or waited for a disk over the last 1, 5 and 15 minutes.',
    '# TYPE system_load_average gauge',
    '# HELP system_network_receive_bytes_total Bytes that a network device received.',
    '# TYPE system_network_receive_bytes_total counter',
    '# HELP system_network_transmit_bytes_total Bytes that a network device transmitted.',
    '# TYPE system_network_transmit_bytes_total counter',
    '# HELP system_pressure_seconds_total Time for which some or all tasks waited for a processor, for memory or for a disk: of the cgroup of this process where version 2 has one, otherwise of the machine.',
    '# TYPE system_pressure_seconds_total counter',
    '# HELP container_memory_limit_bytes The smallest cgroup memory limit that applies to this process; absent where there is none.',
    '# TYPE container_memory_limit_bytes gauge',
    '# HELP container_memory_used_bytes Memory that counts towards the limit and cannot be dropped: at the limit a process is killed; absent where there is no limit.',
    '# TYPE container_memory_used_bytes gauge',
    '# HELP container_memory_working_set_bytes Memory that counts towards the limit, without file pages that were not used lately, as Kubernetes computes it; absent where there is no limit.',
    '# TYPE container_memory_working_set_bytes gauge',
    '# HELP container_cpu_limit_cores The smallest cgroup processor limit that applies to this process, in processors; absent where there is none.',
    '# TYPE container_cpu_limit_cores gauge',
    '# HELP container_cpu_usage_seconds_total Processor time of the cgroup that sets the limit, or of the own cgroup of this process without a limit; absent in the root.',
    '# TYPE container_cpu_usage_seconds_total counter',
    '# HELP container_cpu_throttled_seconds_total Time for which the tightest cgroup processor limit kept this container from running; absent where there is no limit.',
    '# TYPE container_cpu_throttled_seconds_total counter',
  ])
})

t.test('series and their labels are public API', { skip }, async (t) => {
  const app = await build(t, { networkDevices: (device) => device === 'lo' })
  await until('a second sample', async () => readValue(await scrape(app), 'system_cpu_percent'))

  const series = samplesOf(await scrape(app)).map((line) => line.slice(0, line.lastIndexOf(' ')))

  t.strictSame(
    series.filter((name) => !/^(container_|system_disk_inodes|system_pressure)/.test(name)),
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
