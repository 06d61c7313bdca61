/**
 * Follows the transactions of a connection of mysql2 by what the server says, whoever begins and ends them.
 *
 * @module
 */
import type { PoolSeries } from '../adapter.ts'
import type { Operation } from '../operation.ts'
import { createTransaction } from '../transaction.ts'

/** The transactions of one connection, which are never more than one at a time. */
export interface Transactions {
  readonly isOpen: boolean
  /** The server has answered a statement of the text with this status. */
  answered(operation: Operation, text: unknown, serverStatus: number): void
  /** The server has answered a statement with an error. */
  failed(error: unknown): void
  /** What resets a connection rolls back. */
  reset(): void
  /** The connection has ended, and with it what was open. */
  lost(): void
}

/** https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html, SERVER_STATUS_IN_TRANS. */
const IN_TRANSACTION = 1

/** https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html, ER_LOCK_DEADLOCK: rolls back. */
const DEADLOCK = 1213

/** The end of a text of several statements whose last one rolls back. */
const ENDS_WITH_ROLLBACK = /\brollback(?:\s+work)?[\s;]*$/i

/**
 * Counts the transactions of a connection when the server has ended them. Its status flag tells that one has begun or
 * ended. A statement that ends one without a word for it, such as DDL, commits.
 */
export function followTransactions(series: PoolSeries['transactions']): Transactions {
  const transaction = createTransaction(series)
  return {
    get isOpen() {
      return transaction.isOpen
    },
    answered,
    failed(error) {
      if ((error as { errno?: unknown } | null)?.errno === DEADLOCK) transaction.end('rollback')
    },
    reset: () => transaction.end('rollback'),
    lost: () => transaction.end('lost'),
  }

  function answered(operation: Operation, text: unknown, serverStatus: number): void {
    const rollsBack = operation === 'ROLLBACK' || (typeof text === 'string' && ENDS_WITH_ROLLBACK.test(text.slice(-40)))
    const isOpen = (serverStatus & IN_TRANSACTION) !== 0
    // BEGIN commits what is open; COMMIT AND CHAIN and ROLLBACK AND CHAIN begin a transaction.
    const endsAnyway = operation === 'BEGIN' || operation === 'COMMIT' || operation === 'ROLLBACK'
    if (!isOpen || endsAnyway) transaction.end(rollsBack ? 'rollback' : 'commit')
    if (isOpen) transaction.begin()
  }
}
