import { readFileSync } from 'node:fs'
import t from 'tap'
import { parseDevices } from '../src/network.ts'
import { build, readValue, scrape, secondSample, sendLoopback, skip } from './helpers.ts'

function readDeviceBytes(device: string): { received: number; transmitted: number } {
  const line = readFileSync('/proc/net/dev', 'utf8')
    .split('\n')
    .find((line) => line.trim().startsWith(`${device}:`))
  const fields = line?.trim().split(/[:\s]+/) ?? []
  return { received: Number(fields[1]), transmitted: Number(fields[9]) }
}

t.test('network counters lie between two readings of /proc/net/dev', { skip }, async (t) => {
  const app = await build(t, { networkDevices: () => true })
  await secondSample(app)
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
