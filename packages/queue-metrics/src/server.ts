/**
 * Names the server and the database that a Queue, a Worker or a FlowProducer is connected to, as far as its options
 * tell.
 *
 * @module
 */
import type { Observable } from './bullmq.ts'
import { isPostgres } from './oldest.ts'

/** The options of ioredis, of node-redis (`socket`, `database`) and of a cluster's client. */
interface RedisOptions {
  url?: string
  path?: string
  host?: string
  port?: number | string
  db?: number
  database?: number
  socket?: { host?: string; port?: number; path?: string }
  sentinels?: Array<{ host?: string; port?: number }>
  name?: string
}

interface PostgresOptions {
  connectionString?: string
  host?: string
  port?: number | string
  database?: string
  user?: string
}

/**
 * Returns a text that is equal for equal servers and databases; `undefined` for a client that does not tell. Two names
 * of one server differ, except for those of this machine.
 */
export function serverOf(target: Observable): string | undefined {
  const backend = target.getBackend()
  try {
    if (isPostgres(backend)) return postgresOf(backend.connection)
    return 'keys' in backend ? redisOf(target.opts.connection) : undefined
  } catch {
    // An address that cannot be read.
    return undefined
  }
}

function redisOf(connection: unknown): string | undefined {
  if (typeof connection !== 'object' || connection === null) return undefined
  const client = connection as { options?: RedisOptions; startupNodes?: unknown; isCluster?: boolean }
  if (client.isCluster || client.startupNodes) return clusterOf(client.startupNodes)
  const options = client.options ?? (connection as RedisOptions)
  const { url, socket, sentinels, name = '', path = socket?.path } = options
  if (sentinels) return `redis sentinel ${name} of ${sentinels.map(addressOf).sort()}/${options.db ?? 0}`
  if (path) return `redis ${path}/${options.db ?? options.database ?? 0}`
  const address = url === undefined ? undefined : new URL(url)
  const host = address?.hostname || (options.host ?? socket?.host)
  const port = address?.port || (options.port ?? socket?.port ?? 6379)
  const db = address?.pathname.slice(1) || (options.db ?? options.database ?? 0)
  // A client of another driver, which hides its options.
  if (host === undefined && client.options === undefined && 'connect' in connection) return undefined
  return `redis ${hostOf(host)}:${port}/${db}`
}

function clusterOf(nodes: unknown): string | undefined {
  if (!Array.isArray(nodes) || nodes.length === 0) return undefined
  return `redis cluster ${nodes.map((node) => (typeof node === 'object' ? addressOf(node) : `${node}`)).sort()}`
}

function addressOf({ host, port }: { host?: string; port?: number | string }): string {
  return `${hostOf(host)}:${port ?? 6379}`
}

function postgresOf({ pool, schema = '' }: { pool: object; schema?: string }): string | undefined {
  const options = (pool as { options?: PostgresOptions }).options
  if (options === undefined) return undefined
  const { PGHOST, PGPORT, PGUSER, PGDATABASE, USER } = process.env
  const { connectionString, user = PGUSER ?? USER } = options
  const address = connectionString === undefined ? undefined : new URL(connectionString)
  const host = address?.searchParams.get('host') || address?.hostname || (options.host ?? PGHOST)
  const port = address?.port || (options.port ?? PGPORT ?? 5432)
  const database = address?.pathname.slice(1) || (options.database ?? PGDATABASE ?? (address?.username || user))
  return `postgres ${hostOf(host)}:${port}/${database}/${schema}`
}

/** This machine has several names. */
function hostOf(host: string | null | undefined): string {
  return !host || ['127.0.0.1', '::1', '[::1]'].includes(host) ? 'localhost' : host
}
