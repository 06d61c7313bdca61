export interface SystemMetricsOptions {
  /**
   * Milliseconds between two samples, 100 to 2147483647. Between them every scrape sees the same values, so a time
   * longer than the scrape interval shows as steps.
   * @default 5000
   */
  intervalMs?: number

  /**
   * A file or folder on the file system whose use is measured. In a container that is the file system of the container
   * unless the path is in a volume.
   * @default process.cwd()
   */
  path?: string

  /**
   * Says of a network device whether it is measured; asked for each device at each sample. When it throws, the device
   * is left out and the error counted in `metrics_errors_total`.
   * @default all devices but `lo`
   */
  networkDevices?: (device: string) => boolean
}
