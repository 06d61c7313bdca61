/**
 * Follows the transactions of a connection of pg by what the server says, whoever begins and ends them.
 *
 * @module
 */
import type { EventEmitter } from 'node:events'
import type { PoolSeries } from '../adapter.ts'
import { createTransaction } from '../transaction.ts'

/** The transactions of one connection, which are never more than one at a time. */
export interface Transactions {
  readonly isOpen: boolean
  /** The connection has ended, and with it what was open. */
  lost(): void
  stop(): void
}

/** https://www.postgresql.org/docs/18/protocol-message-formats.html, CommandComplete. */
interface CommandComplete {
  text: string
}

/** ReadyForQuery: `I` outside of a transaction, `T` in one, `E` in one that has failed. */
interface ReadyForQuery {
  status: string
}

/** For a connection of the native driver, which does not pass the server's messages on. */
const NONE: Transactions = { isOpen: false, lost() {}, stop() {} }

/**
 * Counts the transactions of a connection when the server has ended them. The command tag decides: the server answers
 * a COMMIT of a transaction that has failed with ROLLBACK.
 */
export function followTransactions(client: object, series: PoolSeries['transactions']): Transactions {
  const { connection } = client as { connection?: EventEmitter }
  if (typeof connection?.prependListener !== 'function') return NONE
  const transaction = createTransaction(series)
  /** The server answers ROLLBACK TO SAVEPOINT with ROLLBACK too. What follows tells which of them it was. */
  let mayBeRolledBack = false
  // Before pg's own listeners, which tell the caller.
  connection.prependListener('commandComplete', completed)
  connection.prependListener('readyForQuery', ready)
  return {
    get isOpen() {
      return transaction.isOpen
    },
    lost: () => transaction.end('lost'),
    stop() {
      connection.off('commandComplete', completed)
      connection.off('readyForQuery', ready)
    },
  }

  /** A string of several statements completes each of them. */
  function completed({ text }: CommandComplete): void {
    if (text === 'BEGIN' || text === 'START TRANSACTION') {
      if (mayBeRolledBack) transaction.end('rollback')
      mayBeRolledBack = false
      transaction.begin()
    } else if (text === 'COMMIT') {
      transaction.end('commit')
      mayBeRolledBack = false
    } else if (text === 'ROLLBACK') mayBeRolledBack = true
    // Another connection decides its outcome.
    else if (text === 'PREPARE TRANSACTION') transaction.forget()
  }

  function ready({ status }: ReadyForQuery): void {
    if (status === 'I') transaction.end('rollback')
    // COMMIT AND CHAIN begins a transaction without a word.
    else transaction.begin()
    mayBeRolledBack = false
  }
}
