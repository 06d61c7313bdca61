/**
 * Starts a real MariaDB.
 * @module
 */
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { type Service, startService } from './service.ts'
import { temporaryDirectory } from './temporary.ts'
import { debianTool } from './tools.ts'

/**
 * Starts a real MariaDB: the one on PATH, else one fetched from Debian. It lets everybody in, has no database yet, and
 * keeps its data in a temporary folder that `stop` deletes. Throws `ToolUnavailableError`.
 */
export async function startMariadb(): Promise<Service> {
  const tool = await debianTool('mariadbd')
  const { directory, dispose } = temporaryDirectory('mariadb')
  const share = tool.root === undefined ? [] : [`--lc-messages-dir=${join(tool.root, 'usr/share/mysql')}`]
  const service = await startService({
    tool,
    args: (port) => [
      // Without the tables of accounts, which another program would have to make first.
      ...['--no-defaults', '--skip-grant-tables', '--bind-address=127.0.0.1', `--port=${port}`, ...share],
      ...[`--datadir=${directory}`, `--socket=${join(directory, 'socket')}`, '--innodb-flush-log-at-trx-commit=0'],
      // As root it does not start without a name.
      ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    ],
    url: (port) => `mysql://root@127.0.0.1:${port}`,
    isReady: greets,
    dispose,
  })
  // The files of a new InnoDB are complete after its first shutdown: killed before, it would not start again.
  await service.restart()
  return service
}

/** Tells whether the server sends its greeting, as it does to each connection. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    socket
      .setTimeout(1_000, () => socket.destroy())
      .once('data', () => {
        resolve(true)
        socket.destroy()
      })
      .once('error', () => {})
      .once('close', () => resolve(false))
  })
}
