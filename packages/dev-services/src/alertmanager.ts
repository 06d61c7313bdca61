/**
 * Starts a real Alertmanager.
 * @module
 */
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { answersReady } from './prometheus.ts'
import { type Service, startService } from './service.ts'
import { temporaryDirectory } from './temporary.ts'
import { alertmanager, type Tool, type ToolOptions } from './tools.ts'

export interface AlertmanagerServiceOptions extends ToolOptions {
  /** The content of the configuration file. */
  config: string
  /**
   * The folder for the configuration, `alertmanager.yml`, and for silences, `data`. Template paths in the configuration
   * are relative to it.
   * @default a temporary folder that `stop` deletes
   */
  directory?: string
  /** @default a free port */
  port?: number
  /**
   * The Alertmanager to run.
   * @default the one on PATH or in `suite`
   */
  binary?: Tool
  /** Additional command line flags. */
  args?: string[]
}

/** Starts a real Alertmanager without clustering. Throws `ToolUnavailableError`. */
export async function startAlertmanager(options: AlertmanagerServiceOptions): Promise<Service> {
  const { config, port, suite, binary, args = [] } = options
  const tool = binary ?? (await alertmanager({ suite }))
  const { directory, dispose } = options.directory
    ? { directory: resolve(options.directory), dispose: () => {} }
    : temporaryDirectory('alertmanager')
  const file = join(directory, 'alertmanager.yml')
  writeFileSync(file, config)
  return startService({
    tool,
    port,
    args: (port) => [
      ...[`--config.file=${file}`, `--storage.path=${join(directory, 'data')}`, '--log.level=warn'],
      // Without the empty address the cluster listens on every interface.
      ...[`--web.listen-address=127.0.0.1:${port}`, '--cluster.listen-address='],
      ...args,
    ],
    url: (port) => `http://127.0.0.1:${port}`,
    isReady: answersReady,
    dispose,
  })
}
