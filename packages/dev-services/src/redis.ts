/**
 * Starts a real Redis or Valkey.
 * @module
 */
import { mkdirSync } from 'node:fs'
import { createConnection } from 'node:net'
import { resolve } from 'node:path'
import { foreignService, type Service, startService } from './service.ts'
import { temporaryDirectory } from './temporary.ts'
import { debianTool } from './tools.ts'

export interface RedisServiceOptions {
  /**
   * The folder of the append-only file, which is kept.
   * @default the server of `REDIS_URL`, else a temporary folder that `stop` deletes
   */
  directory?: string
  /**
   * The data survive `kill` and `restart`.
   * @default false: all data are in memory only
   */
  appendOnly?: boolean
  /** @default a free port */
  port?: number
}

/**
 * Starts a real Redis or Valkey: the server of `REDIS_URL`, unless the options ask for a directory or an append-only
 * file, which need a server of our own; else the one on PATH; else one fetched from Debian. It rejects writes when it
 * runs out of memory, as BullMQ requires. Throws `ToolUnavailableError`.
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

/** Tells whether the server is ready. It answers `-LOADING` while it loads its append-only file. */
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
