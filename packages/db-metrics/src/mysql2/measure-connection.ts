/**
 * Measures the queries and transactions of a connection of mysql2.
 *
 * @module
 */
import type { EventEmitter } from 'node:events'
import { type Method, patch } from '@data20/metrics-core/plugin'
import type { PoolSeries, UpSignals } from '../adapter.ts'
import { followTransactions } from './transactions.ts'

/** A connection that is measured. */
export interface MeasuredConnection {
  /** Returns true amid a transaction while no query runs. */
  isIdleInTransaction(): boolean
  /** A caller of the pool has the connection from now on. */
  checkedOut(): void
  restore(): void
}

/** What mysql2 sends: a query, the execution of a prepared statement, or a command that is none. */
interface Command extends EventEmitter {
  /** A query's text; a prepared statement that is executed later has its own. */
  sql?: unknown
  statement?: { query?: unknown }
  onResult?: Method
  resultsetHeader?: Method
}

/** The commands that roll back what is open. */
const RESETS: ReadonlySet<string> = new Set(['ResetConnection', 'ChangeUser'])

/** Measures a connection until it ends, which calls `ended`. */
export function measureConnection(
  connection: EventEmitter,
  series: PoolSeries,
  up: UpSignals,
  ended: () => void,
): MeasuredConnection {
  const transactions = followTransactions(series.transactions)
  /** Ends the clocks of the queries that were sent or wait to be sent. */
  const running = new Set<(error: unknown) => void>()
  /** Why the statement that is to be executed next could not be prepared. */
  let prepareError: unknown
  let checkoutMs: number | undefined
  const restoreMethods = [
    patch(connection, 'addCommand', measureCommand),
    // What `addCommand` becomes when the connection breaks.
    patch(connection, '_addCommandClosedState', measureCommand),
    patch(connection, 'release', afterwards(released)),
    patch(
      connection,
      'destroy',
      afterwards(() => end(new Error('the connection was destroyed'))),
    ),
  ]
  // Before the listeners of the pool, which has one for either as well.
  connection.prependOnceListener('end', end)
  connection.prependOnceListener('error', end)
  return {
    isIdleInTransaction: () => transactions.isOpen && running.size === 0,
    checkedOut() {
      checkoutMs = performance.now()
    },
    restore,
  }

  function restore(): void {
    connection.off('end', end)
    connection.off('error', end)
    for (const putBack of restoreMethods) putBack()
  }

  function released(): void {
    if (checkoutMs !== undefined) series.checkout.observe((performance.now() - checkoutMs) / 1000)
    checkoutMs = undefined
  }

  function end(error?: unknown): void {
    for (const stop of running) stop(error ?? new Error('the connection has ended'))
    transactions.lost()
    released()
    up.doubted()
    ended()
  }

  function measureCommand(original: Method): Method {
    return function addCommand(...args) {
      const command = args[0] as Command
      if (typeof command.resultsetHeader === 'function') watchQuery(command)
      else if (command.constructor.name === 'Prepare') watchPrepare(command)
      else if (RESETS.has(command.constructor.name)) command.prependOnceListener('end', transactions.reset)
      return original.apply(this, args)
    }
  }

  /** A statement that cannot be prepared ends its execution too, without an error. */
  function watchPrepare(command: Command): void {
    patch(command, 'onResult', (original) => {
      return function onResult(...args) {
        prepareError = args[0]
        try {
          return original.apply(this, args)
        } finally {
          prepareError = undefined
        }
      }
    })
  }

  /**
   * Times a query from its sending. mysql2 tells its end by a callback with the error, by the event `error`, or by the
   * event `end`, whichever comes first.
   */
  function watchQuery(command: Command): void {
    const text = command.sql ?? command.statement?.query
    const query = series.query(text)
    let startMs: number | undefined
    running.add(stop)
    patch(command, 'start', (original) => {
      return function start(...args) {
        startMs = performance.now()
        return original.apply(this, args)
      }
    })
    patch(command, 'doneInsert', (original) => {
      return function doneInsert(...args) {
        const { serverStatus } = (args[0] ?? {}) as { serverStatus?: number }
        if (serverStatus !== undefined) transactions.answered(query.operation, text, serverStatus)
        return original.apply(this, args)
      }
    })
    patch(command, 'emit', (original) => {
      return function emit(...args) {
        if (args[0] === 'end') stop(prepareError)
        else if (args[0] === 'error') stop(args[1])
        return original.apply(this, args)
      }
    })
    if (typeof command.onResult !== 'function') return
    patch(command, 'onResult', (original) => {
      return function onResult(...args) {
        if (args[0]) stop(args[0])
        return original.apply(this, args)
      }
    })

    function stop(error: unknown): void {
      if (!running.delete(stop)) return
      const seconds = startMs === undefined ? undefined : (performance.now() - startMs) / 1000
      query.count(seconds, error)
      if (error) {
        transactions.failed(error)
        up.doubted()
      } else up.proven()
    }
  }
}

/** Calls something before a method, with which it may be over. */
function afterwards(call: () => void): (original: Method) => Method {
  return (original) =>
    function method(...args) {
      call()
      return original.apply(this, args)
    }
}
