/**
 * Bytes by network device. Not systeminformation's `networkStats`: that starts a shell with seven `cat` per device,
 * and `ip` and `nmcli` to find the devices.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'

/** What a device has counted since it exists. */
export interface DeviceBytes {
  received: number
  transmitted: number
}

/** Reads all devices of the network namespace of this process; none elsewhere than on Linux. */
export async function readDevices(): Promise<Map<string, DeviceBytes>> {
  return process.platform === 'linux' ? parseDevices(await readFile('/proc/net/dev', 'utf8')) : new Map()
}

/** The devices in the text of /proc/net/dev, see proc_pid_net(5): after the name the first number is received, the ninth transmitted. */
export function parseDevices(text: string): Map<string, DeviceBytes> {
  const devices = new Map<string, DeviceBytes>()
  for (const [, device, numbers] of text.matchAll(/^ *([^\s:|]+): *(\d.*)$/gm)) {
    const fields = numbers!.split(/ +/)
    devices.set(device!, { received: Number(fields[0]), transmitted: Number(fields[8]) })
  }
  return devices
}

/**
 * What a counter of ours grows by when the system's went from `last` to `now`. One that is smaller than before began
 * at zero again, which is how Prometheus takes a decrease too.
 */
export function increase(last: number | undefined, now: number): number {
  return last === undefined || now < last ? now : now - last
}
