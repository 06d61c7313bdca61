/**
 * Bytes by network device. systeminformation's `networkStats` does not fit: it starts a shell with seven `cat` per
 * device, and `ip` and `nmcli` to find the devices.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import type { Instruments } from './instruments.ts'
import type { Read } from './sampler.ts'
import { increase } from './values.ts'

/** The counters of a device since it exists. */
export interface DeviceBytes {
  received: number
  transmitted: number
}

/** Makes the reading of the devices that `isMeasured` accepts. */
export function networkReading(
  { networkReceived, networkTransmitted }: Instruments,
  isMeasured: (device: string) => boolean,
): Read {
  let last = new Map<string, DeviceBytes>()
  return async () => {
    const devices = new Map([...(await readDevices())].filter(([device]) => isMeasured(device)))
    for (const [device, { received, transmitted }] of devices) {
      networkReceived.labels({ device }).inc(increase(last.get(device)?.received, received))
      networkTransmitted.labels({ device }).inc(increase(last.get(device)?.transmitted, transmitted))
    }
    // Devices come and go with containers. The series of a device that is gone no longer count towards the cardinality
    // limit.
    for (const device of last.keys()) {
      if (devices.has(device)) continue
      networkReceived.remove({ device })
      networkTransmitted.remove({ device })
    }
    last = devices
  }
}

/** Reads all devices in the network namespace of this process. Returns none on systems other than Linux. */
async function readDevices(): Promise<Map<string, DeviceBytes>> {
  return process.platform === 'linux' ? parseDevices(await readFile('/proc/net/dev', 'utf8')) : new Map()
}

/**
 * Parses /proc/net/dev, see proc_pid_net(5): the first number after the name is received bytes, the ninth transmitted
 * bytes.
 */
export function parseDevices(text: string): Map<string, DeviceBytes> {
  const devices = new Map<string, DeviceBytes>()
  for (const [, device, numbers] of text.matchAll(/^ *([^\s:|]+): *(\d.*)$/gm)) {
    const fields = numbers!.split(/ +/)
    devices.set(device!, { received: Number(fields[0]), transmitted: Number(fields[8]) })
  }
  return devices
}
