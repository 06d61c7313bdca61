/**
 * The connections of postgres.js, as far as its queries show them.
 *
 * @module
 */
import type { PoolSeries } from '../adapter.ts'
import type { Operation } from '../operation.ts'
import { createTransaction, type Transaction } from '../transaction.ts'
import type { Backend } from './pool.ts'

/** A connection on which a query was sent. */
export interface Connection {
  /** Queries that were sent and have not ended. */
  running: number
  readonly transaction: Transaction
  /** When the caller of a transaction got it. */
  checkoutMs: number | undefined
  /** A caller of `sql.reserve` has it. */
  isReserved: boolean
  /** The number of the connection within postgres.js, where it is known. */
  id: unknown
  /** The number of the server's process. postgres.js opens a connection again with another one. */
  processId: unknown
}

/** What is known of all connections of a pool. */
export interface Connections {
  has(backend: Backend): boolean
  /** Returns the connection of a query that is being sent. */
  of(backend: Backend): Connection
  /** Applies what the server has answered. */
  answered(connection: Connection, operation: Operation, result: unknown): void
  /** A connection has ended, and with it what was open. */
  closed(id: unknown): void
  countBusy(): number
  countIdleInTransaction(): number
}

export function createConnections(series: Pick<PoolSeries, 'checkout' | 'transactions'>): Connections {
  const connections = new Map<Backend, Connection>()
  return {
    has: (backend) => connections.has(backend),
    of,
    answered(connection, operation, result) {
      follow(connection.transaction, operation, result)
      giveBack(connection)
    },
    closed(id) {
      for (const connection of connections.values()) if (connection.id === id) lose(connection)
    },
    countBusy: () => count(({ running, transaction, isReserved }) => running > 0 || transaction.isOpen || isReserved),
    countIdleInTransaction: () => count(({ running, transaction }) => running === 0 && transaction.isOpen),
  }

  function of(backend: Backend): Connection {
    const processId = (backend as { pid?: unknown }).pid
    const known = connections.get(backend)
    if (known === undefined) {
      const connection: Connection = {
        running: 0,
        transaction: createTransaction(series.transactions),
        checkoutMs: undefined,
        isReserved: false,
        id: undefined,
        processId,
      }
      connections.set(backend, connection)
      return connection
    }
    if (known.processId !== processId) lose(known)
    known.processId = processId
    return known
  }

  function lose(connection: Connection): void {
    connection.transaction.end('lost')
    giveBack(connection)
    connection.isReserved = false
  }

  /** A transaction keeps its connection until it ends. */
  function giveBack(connection: Connection): void {
    const { checkoutMs, transaction } = connection
    if (checkoutMs === undefined || transaction.isOpen) return
    series.checkout.observe((performance.now() - checkoutMs) / 1000)
    connection.checkoutMs = undefined
  }

  function count(matches: (connection: Connection) => boolean): number {
    let matching = 0
    for (const connection of connections.values()) if (matches(connection)) matching += 1
    return matching
  }
}

/** Several statements in one string have several results, each with the command tag of the server. */
function follow(transaction: Transaction, operation: Operation, result: unknown): void {
  const { command } = (result ?? {}) as { command?: unknown }
  if (command === undefined && Array.isArray(result)) {
    for (const one of result) follow(transaction, operation, one)
  } else if (command === 'BEGIN' || command === 'START TRANSACTION') transaction.begin()
  else if (command === 'COMMIT') transaction.end('commit')
  // The server answers ROLLBACK TO SAVEPOINT with ROLLBACK too.
  else if (command === 'ROLLBACK' && operation !== 'SAVEPOINT') transaction.end('rollback')
  // Another connection decides its outcome.
  else if (command === 'PREPARE TRANSACTION') transaction.forget()
}
