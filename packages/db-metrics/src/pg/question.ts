/**
 * Asks a database of PostgreSQL if it is up, on a connection of its pool.
 *
 * @module
 */
import type { EventEmitter } from 'node:events'
import type { Method } from '@data20/metrics-core/plugin'
import { endsWithin } from '../up.ts'
import type { PgPool } from './pool.ts'

/** Asks the database of a pool. */
export interface Question {
  ask(timeoutMs: number): Promise<void>
  /** Returns true for the connection that the last question opened and closed. Its end says nothing. */
  isOwn(client: unknown): boolean
}

/** The part of a connection that the question uses. */
interface Client extends EventEmitter {
  query(text: string): Promise<unknown>
  release(error: Error | boolean): void
}

/** Sends `SELECT 1` by the methods of the classes, so that wrappers on the instances, ours included, do not see it. */
export function createQuestion(pool: PgPool): Question {
  let ownClient: Client | null = null
  return { ask, isOwn: (client) => client === ownClient }

  async function ask(timeoutMs: number): Promise<void> {
    // The pool hands out a free connection before it opens a new one, so this tells which one we get.
    const isNew = pool.idleCount === 0
    const client = (await (Object.getPrototypeOf(pool).connect as Method).call(pool)) as Client
    ownClient = isNew ? client : null
    // The pool does not listen while a connection is checked out: without a listener, one that breaks now ends the
    // process.
    client.on('error', ignore)
    const query = Object.getPrototypeOf(client).query as Client['query']
    let hasAnswered = false
    const answer = query.call(client, 'SELECT 1').then(() => {
      hasAnswered = true
    })
    await endsWithin(timeoutMs, answer)
    if (!hasAnswered) {
      const error = new Error('no answer to SELECT 1')
      client.release(error)
      throw error
    }
    client.off('error', ignore)
    // A connection that only we needed is closed: when an idle connection breaks, the pool emits `error`, which ends a
    // process without a listener, and without us there would be no such connection. A caller who is waiting by now may
    // have it.
    client.release(isNew && pool.waitingCount === 0)
  }
}

function ignore(): void {}
