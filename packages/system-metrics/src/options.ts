/**
 * The options of system-metrics: their meaning, their defaults and their checks.
 *
 * @module
 */
import { checkOptionNames, checkTimeout, InvalidOptionError, type OptionNames } from '@data20/metrics-core/plugin'

export interface SystemMetricsOptions {
  /**
   * Milliseconds between two samples, 100 to 2147483647. Every scrape between two samples sees the same values, so an
   * interval longer than the scrape interval shows as steps.
   * @default 5000
   */
  intervalMs?: number

  /**
   * A file or folder on the file system whose usage is measured. In a container this is the file system of the
   * container, unless the path is in a volume.
   * @default process.cwd()
   */
  path?: string

  /**
   * Decides which network devices are measured. Called for each device at each sample. If it throws, the device is left
   * out and the error is counted in `metrics_errors_total`.
   * @default all devices but `lo`
   */
  networkDevices?: (device: string) => boolean
}

export type ResolvedOptions = Required<SystemMetricsOptions>

const MIN_INTERVAL_MS = 100

const NAMES: OptionNames<SystemMetricsOptions> = {
  intervalMs: ['interval', 'sampleIntervalMs'],
  path: ['paths', 'disk', 'mount'],
  networkDevices: ['devices', 'interfaces', 'network'],
}

/**
 * Returns the options with their defaults. Throws `InvalidOptionError`. The existence of `path` is checked at
 * registration.
 */
export function resolveOptions(options: SystemMetricsOptions): ResolvedOptions {
  checkOptionNames('system-metrics', options, NAMES)
  const { intervalMs = 5000, path = process.cwd(), networkDevices = (device) => device !== 'lo' } = options
  if (intervalMs < MIN_INTERVAL_MS) {
    throw new InvalidOptionError('intervalMs', `a number ≥ ${MIN_INTERVAL_MS}`, intervalMs)
  }
  checkTimeout(intervalMs, 'intervalMs')
  if (typeof networkDevices !== 'function') {
    throw new InvalidOptionError('networkDevices', 'a function', networkDevices)
  }
  return { intervalMs, path, networkDevices }
}
