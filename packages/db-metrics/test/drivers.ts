import { type Service, startMariadb, toolOrSkip } from '@data20/dev-services'
import mysql from 'mysql2'
import mysqlPromises from 'mysql2/promise'
import pg from 'pg'
import postgres from 'postgres'
import type { Test } from 'tap'
import type { ObservablePool } from '../src/index.ts'
import { connectionString, start } from './helpers.ts'

type Send = (sql: string) => Promise<unknown>

/** A pool of a driver, in the terms of the contract. */
export interface Pool {
  observable: ObservablePool
  query: Send
  /** Every way of sending one SELECT that takes a connection of its own. */
  ways: Record<string, () => Promise<unknown>>
  /** Begins, runs, and commits, or rolls back when it throws. */
  transaction(run: (query: Send) => Promise<unknown>): Promise<unknown>
  /** Takes a connection; the function returned gives it back. */
  hold(): Promise<() => unknown>
  end(): Promise<unknown>
  /** What db-metrics may touch. */
  inside(): object[]
}

export interface Driver {
  name: string
  create(t: Test, options: { max: number; url?: string }): Pool
  startServer(t: Test): Promise<Service>
}

/** Returns the drivers, with a server for each whose database has the table `notes`. */
export async function createDrivers(t: Test): Promise<Driver[]> {
  const drivers = [pgDriver(), postgresJsDriver()]
  const startServer = async (t: Test): Promise<Service> => {
    const server = await startMariadb()
    t.teardown(() => server.stop())
    return server
  }
  const mariadb = await toolOrSkip(t, () => startServer(t))
  if (mariadb === undefined) return drivers
  const setUp = await mysqlPromises.createConnection({ uri: mariadb.url })
  await setUp.query('CREATE DATABASE notes')
  await setUp.query('CREATE TABLE notes.notes (id int PRIMARY KEY AUTO_INCREMENT, name varchar(20)) ENGINE = InnoDB')
  await setUp.end()
  const url = `${mariadb.url}/notes`
  return [...drivers, mysqlPromiseDriver(url, startServer), mysqlCallbackDriver(url, startServer)]
}

function pgDriver(): Driver {
  return {
    name: 'pg',
    startServer: start,
    create(t, { max, url = connectionString }) {
      const pool = new pg.Pool({ connectionString: url, max })
      pool.on('error', () => {})
      pool.on('connect', (client) => client.on('error', () => {}))
      t.teardown(() => (pool.ending ? undefined : pool.end()))
      const query: Send = (sql) => pool.query(sql)
      return {
        observable: pool,
        query,
        ways: { query: () => query('SELECT 1') },
        async transaction(run) {
          const client = await pool.connect()
          const send: Send = (sql) => client.query(sql)
          try {
            return await inTransaction(send, run)
          } finally {
            client.release()
          }
        },
        async hold() {
          const client = await pool.connect()
          return () => client.release()
        },
        end: () => pool.end(),
        inside: () => [pool],
      }
    },
  }
}

function postgresJsDriver(): Driver {
  return {
    name: 'postgres.js',
    startServer: start,
    create(t, { max, url = connectionString }) {
      const sql = postgres(url, { max, backoff: false, onnotice: () => {} })
      let hasEnded = false
      const end = () => {
        hasEnded = true
        return sql.end({ timeout: 1 })
      }
      t.teardown(() => (hasEnded ? undefined : end()))
      const cursor = async () => {
        let rows = 0
        for await (const _rows of sql`SELECT * FROM generate_series(1, 5)`.cursor(2)) rows += 1
        return rows
      }
      return {
        observable: sql,
        query: (text) => sql.unsafe(text),
        ways: {
          template: () => sql`SELECT 1`,
          'parameters, prepared': () => sql`SELECT ${1}::int`,
          simple: () => sql`SELECT 1`.simple(),
          fragment: () => sql`SELECT 1 ${sql`WHERE true`}`,
          values: () => sql`SELECT 1`.values(),
          forEach: () => sql`SELECT 1`.forEach(() => {}),
          cursor,
          'cursor with a function': () => sql`SELECT * FROM generate_series(1, 5)`.cursor(2, () => {}),
          'several listeners': async () => {
            const query = sql`SELECT 1`
            await Promise.all([query, query.then(() => {}), query.finally(() => {})])
          },
        },
        transaction(run) {
          let isOver = false
          const begun = sql.begin((sql) =>
            run((text) => sql.unsafe(text)).catch((error) => {
              if (!isOver) throw error
              // The connection is gone, and postgres.js would write ROLLBACK to its socket.
              return new Promise(() => {})
            }),
          )
          return begun.finally(() => {
            isOver = true
          })
        },
        async hold() {
          const reserved = await sql.reserve()
          return () => reserved.release()
        },
        end,
        inside: () => [sql, sql.options, Object.getPrototypeOf(sql``)],
      }
    },
  }
}

function mysqlPromiseDriver(uri: string, startServer: Driver['startServer']): Driver {
  return {
    name: 'mysql2/promise',
    startServer,
    create(t, { max, url = uri }) {
      const pool = mysqlPromises.createPool({ uri: url, connectionLimit: max })
      let hasEnded = false
      const end = () => {
        hasEnded = true
        return pool.end()
      }
      t.teardown(() => (hasEnded ? undefined : end()))
      return {
        observable: pool,
        query: (sql) => pool.query(sql),
        ways: {
          query: () => pool.query('SELECT 1'),
          'query with values': () => pool.query('SELECT ?', [1]),
          execute: () => pool.execute('SELECT ? AS a', [1]),
        },
        async transaction(run) {
          const connection = await pool.getConnection()
          const send: Send = (sql) => connection.query(sql)
          try {
            return await inTransaction(send, run)
          } finally {
            connection.release()
          }
        },
        async hold() {
          const connection = await pool.getConnection()
          return () => connection.release()
        },
        end,
        inside: () => [(pool as unknown as { pool: object }).pool],
      }
    },
  }
}

function mysqlCallbackDriver(uri: string, startServer: Driver['startServer']): Driver {
  return {
    name: 'mysql2',
    startServer,
    create(t, { max, url = uri }) {
      const pool = mysql.createPool({ uri: url, connectionLimit: max })
      let hasEnded = false
      const end = () => {
        hasEnded = true
        return new Promise<void>((resolve, reject) => pool.end((error) => (error ? reject(error) : resolve())))
      }
      t.teardown(() => (hasEnded ? undefined : end()))
      const take = () =>
        new Promise<mysql.PoolConnection>((resolve, reject) =>
          pool.getConnection((error, connection) => (error ? reject(error) : resolve(connection))),
        )
      const sender =
        (target: mysql.Pool | mysql.PoolConnection): Send =>
        (sql) =>
          new Promise((resolve, reject) =>
            target.query(sql, (error, result) => (error ? reject(error) : resolve(result))),
          )
      return {
        observable: pool,
        query: sender(pool),
        ways: {
          query: () => sender(pool)('SELECT 1'),
          events: () =>
            new Promise((resolve, reject) => pool.query('SELECT 1').once('error', reject).once('end', resolve)),
          stream: async () => {
            const rows: unknown[] = []
            for await (const row of pool.query('SELECT 1 UNION SELECT 2').stream()) rows.push(row)
            return rows
          },
          execute: () =>
            new Promise((resolve, reject) =>
              pool.execute('SELECT ? AS a', [1], (error, result) => (error ? reject(error) : resolve(result))),
            ),
        },
        async transaction(run) {
          const connection = await take()
          try {
            return await inTransaction(sender(connection), run)
          } finally {
            connection.release()
          }
        },
        async hold() {
          const connection = await take()
          return () => connection.release()
        },
        end,
        inside: () => [pool],
      }
    },
  }
}

async function inTransaction(send: Send, run: (query: Send) => Promise<unknown>): Promise<unknown> {
  await send('BEGIN')
  try {
    const result = await run(send)
    await send('COMMIT')
    return result
  } catch (error) {
    await send('ROLLBACK').catch(() => {})
    throw error
  }
}
