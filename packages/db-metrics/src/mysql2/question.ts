/**
 * Asks a database of MySQL or MariaDB if it is up, on a connection of its pool.
 *
 * @module
 */
import type { EventEmitter } from 'node:events'
import type { Method } from '@data20/metrics-core/plugin'
import { endsWithin } from '../up.ts'
import type { CorePool } from './pool.ts'

/** The part of a connection that the question uses. */
interface Connection extends EventEmitter {
  ping(callback: (error: unknown) => void): void
  release(): void
  destroy(): void
}

/**
 * Sends a ping, which is no query. The connection stays in the pool, which listens when one breaks. Asks by the method
 * of the class, so that wrappers on the instance, ours included, do not see it.
 */
export async function ask(pool: CorePool, timeoutMs: number): Promise<void> {
  const getConnection = (Object.getPrototypeOf(pool) as { getConnection: Method }).getConnection
  const connection = await new Promise<Connection>((resolve, reject) => {
    getConnection.call(pool, (error: unknown, connection: Connection) => (error ? reject(error) : resolve(connection)))
  })
  let answer: unknown = new Error('no answer to a ping')
  const answered = new Promise<void>((resolve) => {
    connection.ping((error) => {
      answer = error
      resolve()
    })
  })
  await endsWithin(timeoutMs, answered)
  if (!answer) return connection.release()
  connection.destroy()
  throw answer
}
