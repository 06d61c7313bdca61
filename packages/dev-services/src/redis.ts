import { mkdirSync } from 'node:fs'
import { createConnection } from 'node:net'
import { resolve } from 'node:path'
import { foreignService, type Service, startService } from './service.ts'
import { temporaryDirectory } from './temporary.ts'
import { debianTool } from './tools.ts'

export interface RedisServiceOptions {
  /**
   * Where the append-only file is and stays.
   * @default the server of `REDIS_URL`, else a temporary folder that `stop` deletes
   */
  directory?: string
  /**
   * Whether the data survive `kill` and `restart`.
   * @default false, all data are in memory only
   */
  appendOnly?: boolean
  /** @default one that is free */
  port?: number
}

/**
 * A real Redis, or Valkey: from `REDIS_URL`, unless a directory or an append-only file is asked for, which only a server of our own
 * has; else from PATH; else fetched from Debian. It refuses writes when memory ends, as BullMQ needs. Throws `ToolUnavailableError`.
 */
export async function startRedis(options: RedisServiceOptions = {}): Promise<Service> {
  const { appendOnly = false, port } = options
  const { REDIS_URL } = process.env
  if (REDIS_URL && options.directory === undefined && !appendOnly) return foreignService(REDIS_URL, 'REDIS_URL')

  const tool = await debianTool('redis-server')
  const { directory, dispose } = options.directory
    ? { directory: resolve(options.directory), dispose: () => {} }
    : temporaryDirectory('redis')
  mkdirSync(directory, { recursive: true })
  return startService({
    tool,
    port,
    args: (port) => [
      ...['--bind', '127.0.0.1', '--port', String(port), '--dir', directory],
      ...['--maxmemory-policy', 'noeviction', '--save', '', '--appendonly', appendOnly ? 'yes' : 'no'],
    ],
    url: (port) => `redis://127.0.0.1:${port}`,
    isReady: answersPing,
    dispose,
  })
}

/** A server that still loads its append-only file answers `-LOADING`. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    socket
      .setTimeout(1_000, () => socket.destroy())
      .once('connect', () => socket.write('PING\r\n'))
      .once('data', (reply) => {
        resolve(reply.toString().startsWith('+PONG'))
        socket.destroy()
      })
      .once('error', () => {})
      .once('close', () => resolve(false))
  })
}
