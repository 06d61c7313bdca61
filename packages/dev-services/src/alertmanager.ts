import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { answersReady } from './prometheus.ts'
import { type Service, startService } from './service.ts'
import { temporaryDirectory } from './temporary.ts'
import { alertmanager, type Tool, type ToolOptions } from './tools.ts'

export interface AlertmanagerServiceOptions extends ToolOptions {
  /** The text of the configuration file. */
  config: string
  /**
   * Where the configuration is written, as `alertmanager.yml`, and silences are kept, in `data`; the configuration finds its
   * templates from there.
   * @default a temporary folder that `stop` deletes
   */
  directory?: string
  /** @default one that is free */
  port?: number
  /**
   * The Alertmanager to run.
   * @default the one of PATH or of `suite`
   */
  binary?: Tool
  /** More command line flags. */
  args?: string[]
}

/** A real Alertmanager without a cluster. Throws `ToolUnavailableError`. */
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
