/**
 * The machine, the container and Node.js.
 *
 * @module
 */
import type { Dashboard } from './dashboard.ts'
import { TARGET, WINDOW } from './panel.ts'

export const system: Dashboard = {
  uid: 'system',
  title: 'System and Node.js',
  description: 'Processors, memory, disk and network of the machine; the event loop, the heap and the process.',
  metric: 'process_cpu_seconds_total',
  rows: [
    {
      title: 'Machine',
      panels: [
        {
          title: 'Processors, memory, disk',
          description:
            'Use of processors, memory (of the container, where it has a limit) and disk. The disk alerts at 85 %.',
          unit: 'percent',
          threshold: 90,
          alert: 'SystemHighMemory',
          max: 100,
          queries: [
            { expression: `system_cpu_percent{${TARGET}}`, legend: 'processors {{instance}}' },
            { expression: `system_memory_percent{${TARGET}}`, legend: 'memory {{instance}}' },
            { expression: `system_disk_percent{${TARGET}}`, legend: 'disk {{instance}}' },
          ],
        },
        {
          title: 'Disk in a day',
          description: 'Use of the disk a day from now if it goes on as in the last 6 hours.',
          unit: 'percent',
          threshold: 100,
          alert: 'SystemDiskFilling',
          queries: [
            { expression: `predict_linear(system_disk_percent{${TARGET}}[6h], 24 * 3600)`, legend: '{{instance}}' },
          ],
        },
        {
          title: 'Load average',
          description: 'Tasks that ran, could run or waited for a disk. Above the number of processors, work waits.',
          unit: 'none',
          queries: [{ expression: `system_load_average{${TARGET}}`, legend: '{{window}} {{instance}}' }],
        },
      ],
    },
    {
      title: 'Memory, disk, network',
      panels: [
        {
          title: 'Memory of the machine',
          description: 'What is not available to programs, all there is, and swap space in use.',
          unit: 'bytes',
          alert: 'SystemHighMemory',
          queries: [
            { expression: `system_memory_used_bytes{${TARGET}}`, legend: 'used {{instance}}' },
            { expression: `system_memory_total_bytes{${TARGET}}`, legend: 'total {{instance}}' },
            { expression: `system_swap_used_bytes{${TARGET}}`, legend: 'swap {{instance}}' },
          ],
        },
        {
          title: 'Disk space',
          description: 'Used space of the file system, and its size.',
          unit: 'bytes',
          alert: 'SystemHighDisk',
          queries: [
            { expression: `system_disk_used_bytes{${TARGET}}`, legend: 'used {{instance}}' },
            { expression: `system_disk_total_bytes{${TARGET}}`, legend: 'total {{instance}}' },
          ],
        },
        {
          title: 'Network',
          description: 'Bytes received and transmitted per second by device.',
          unit: 'Bps',
          queries: [
            {
              expression: `rate(system_network_receive_bytes_total{${TARGET}}${WINDOW})`,
              legend: 'in {{device}} {{instance}}',
            },
            {
              expression: `rate(system_network_transmit_bytes_total{${TARGET}}${WINDOW})`,
              legend: 'out {{device}} {{instance}}',
            },
          ],
        },
        {
          title: 'Inodes',
          description: 'Used inodes of the file system. At 100 no file can be made, however much space is free.',
          unit: 'percent',
          max: 100,
          queries: [{ expression: `system_disk_inodes_percent{${TARGET}}`, legend: '{{instance}}' }],
        },
      ],
    },
    {
      title: 'Container and pressure',
      panels: [
        {
          title: 'Memory of the container',
          description:
            'Used: what the kernel cannot drop. Working set: with file pages in use. At the limit the process is killed. Without a limit: of the machine.',
          unit: 'bytes',
          alert: 'SystemHighMemory',
          queries: [
            {
              expression: `container_memory_used_bytes{${TARGET}} or system_memory_used_bytes{${TARGET}}`,
              legend: 'used {{instance}}',
            },
            {
              expression: `container_memory_working_set_bytes{${TARGET}} or system_memory_used_bytes{${TARGET}}`,
              legend: 'working set {{instance}}',
            },
            {
              expression: `container_memory_limit_bytes{${TARGET}} or system_memory_total_bytes{${TARGET}}`,
              legend: 'limit {{instance}}',
            },
          ],
        },
        {
          title: 'Processors of the container',
          description: 'Processors that the container keeps busy. Its limit is container_cpu_limit_cores.',
          unit: 'none',
          queries: [
            { expression: `rate(container_cpu_usage_seconds_total{${TARGET}}${WINDOW})`, legend: 'used {{instance}}' },
          ],
        },
        {
          title: 'Throttled by the container',
          description:
            'Part of the time in which the processor limit of the container kept it from running; 0 without a limit.',
          unit: 'percentunit',
          queries: [
            {
              // The second part gives 0 on a machine without a container, which lacks the metric.
              expression: `rate(container_cpu_throttled_seconds_total{${TARGET}}${WINDOW}) or rate(process_cpu_seconds_total{${TARGET}}${WINDOW}) * 0`,
              legend: '{{instance}}',
            },
          ],
        },
        {
          title: 'Pressure',
          description:
            'Part of the time in which tasks waited for a processor, for memory or for a disk: some of them, or all (full).',
          unit: 'percentunit',
          max: 1,
          queries: [
            {
              expression: `rate(system_pressure_seconds_total{${TARGET}}${WINDOW})`,
              legend: '{{resource}} {{kind}} {{instance}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Node.js',
      panels: [
        {
          title: 'Event-loop delay',
          description: 'How late timers are. Everybody waits that long while something blocks.',
          unit: 's',
          threshold: 0.2,
          alert: 'SystemEventLoopLag',
          queries: ['p50', 'p99', 'max'].map((what) => ({
            expression: `nodejs_eventloop_lag_${what}_seconds{${TARGET}}`,
            legend: `${what} {{instance}}`,
          })),
        },
        {
          title: 'Event-loop utilization',
          description: 'Part of the time in which the event loop was busy. Near 1 the process can do no more.',
          unit: 'percentunit',
          max: 1,
          queries: [{ expression: `nodejs_eventloop_utilization_ratio{${TARGET}}`, legend: '{{instance}}' }],
        },
        {
          title: 'Heap of its limit',
          description:
            'Used heap over the heap beyond which V8 ends the process: in a cluster, of the fullest process.',
          unit: 'percentunit',
          threshold: 0.9,
          alert: 'SystemHeapNearLimit',
          max: 1,
          queries: [
            {
              expression: `nodejs_heap_used_ratio{${TARGET}}`,
              legend: '{{instance}}',
            },
          ],
        },
        {
          title: 'Garbage collection',
          description: 'Part of the time in which the process collected garbage, by kind.',
          unit: 'percentunit',
          isStacked: true,
          queries: [
            {
              expression: `sum by (instance, kind) (rate(nodejs_gc_duration_seconds_sum{${TARGET}}${WINDOW}))`,
              legend: '{{kind}} {{instance}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Process',
      panels: [
        {
          title: 'Processor time',
          description: 'Processors that the process keeps busy, in the application and in the system.',
          unit: 'none',
          queries: [
            { expression: `rate(process_cpu_user_seconds_total{${TARGET}}${WINDOW})`, legend: 'user {{instance}}' },
            { expression: `rate(process_cpu_system_seconds_total{${TARGET}}${WINDOW})`, legend: 'system {{instance}}' },
          ],
        },
        {
          title: 'Memory of the process',
          description: 'Resident memory, the heap, and what lies outside of it. A line that only climbs is a leak.',
          unit: 'bytes',
          queries: [
            { expression: `process_resident_memory_bytes{${TARGET}}`, legend: 'resident {{instance}}' },
            { expression: `nodejs_heap_size_used_bytes{${TARGET}}`, legend: 'heap {{instance}}' },
            { expression: `nodejs_external_memory_bytes{${TARGET}}`, legend: 'external {{instance}}' },
          ],
        },
        {
          title: 'File descriptors',
          description: 'Open file descriptors over their limit. At 1 no connection can be accepted.',
          unit: 'percentunit',
          threshold: 0.9,
          alert: 'SystemOpenFilesNearLimit',
          max: 1,
          queries: [{ expression: `process_open_fds_ratio{${TARGET}}`, legend: '{{instance}}' }],
        },
        {
          title: 'What keeps the process alive',
          description: 'Timers, sockets, requests to the system. A kind that only climbs is never released.',
          unit: 'none',
          queries: [{ expression: `sum by (type) (nodejs_active_resources{${TARGET}})`, legend: '{{type}}' }],
        },
      ],
    },
    {
      title: 'Metrics about metrics',
      panels: [
        {
          title: 'Uptime',
          description: 'Time since the process began. A saw is a process that restarts.',
          unit: 's',
          queries: [{ expression: `time() - process_start_time_seconds{${TARGET}}`, legend: '{{instance}}' }],
        },
        {
          title: 'Series',
          description: 'Series in the last exposition. A line that only climbs is a label without bounds.',
          unit: 'none',
          queries: [{ expression: `metrics_series{${TARGET}}`, legend: '{{instance}}' }],
        },
        {
          title: 'Observations over the cardinality limit',
          description: 'Observations per second that were folded into the overflow series of a metric.',
          unit: 'ops',
          alert: 'CoreSeriesOverflow',
          queries: [
            {
              expression: `sum by (metric) (rate(metrics_series_overflow_total{${TARGET}}${WINDOW}))`,
              legend: '{{metric}}',
            },
          ],
        },
        {
          title: 'Duration of scrapes',
          description: '95 of 100 scrapes were answered within this time.',
          unit: 's',
          queries: [
            {
              expression: `histogram_quantile(0.95, sum by (le, instance) (rate(metrics_scrape_duration_seconds_bucket{${TARGET}}${WINDOW})))`,
              legend: '{{instance}}',
            },
          ],
        },
        {
          kind: 'table',
          title: 'Versions',
          description: 'The application of each process, and its Node.js.',
          unit: 'none',
          queries: [
            {
              expression: `count by (job, instance, name, version, node_version) (app_info{${TARGET}})`,
              legend: '{{name}} {{version}}',
            },
          ],
        },
      ],
    },
  ],
}
