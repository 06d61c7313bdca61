import { assertDocumented, readValue, startMariadb, toolOrSkip, until } from '@data20/dev-services'
import mysql from 'mysql2/promise'
import t, { type Test } from 'tap'
import { build, countsOf, nonZero, scrape } from '../helpers.ts'

// What test/adapters.test.ts has for all drivers is not repeated here.

t.test('MariaDB by mysql2', async (t) => {
  const server = await toolOrSkip(t, startMariadb)
  if (server === undefined) return
  t.teardown(() => server.stop())
  const setUp = await mysql.createConnection({ uri: server.url })
  await setUp.query('CREATE DATABASE notes')
  await setUp.query('CREATE TABLE notes.notes (id int PRIMARY KEY, name varchar(20)) ENGINE = InnoDB')
  await setUp.query('INSERT INTO notes.notes VALUES (1, NULL), (2, NULL)')
  await setUp.end()
  const create = (t: Test, options: mysql.PoolOptions = {}): mysql.Pool => {
    const pool = mysql.createPool({ uri: `${server.url}/notes`, ...options })
    t.teardown(() => pool.end())
    return pool
  }
  await t.test('every way to send something is counted once', (t) => everyWay(t, create(t)))
  await t.test('statements that end a transaction without a word for it', (t) => implicitEnds(t, create(t)))
  await t.test('a deadlock rolls back', (t) => deadlock(t, create(t)))
  await t.test('what resets a connection rolls back', (t) => resets(t, create(t, { resetOnRelease: true })))
  await t.test('a connection that is destroyed loses its transaction and its queries', (t) => destroyed(t, create(t)))
  await t.test('callers who get no connection', (t) => refused(t, create(t, { connectionLimit: 1, queueLimit: 1 })))
})

function outcomes(text: string): Record<string, number> {
  const lines = nonZero(text, 'db_transactions_total')
  return Object.fromEntries(lines.map((line) => [/outcome="(\w+)"/.exec(line)![1], Number(line.split(' ').at(-1))]))
}

async function everyWay(t: Test, pool: mysql.Pool): Promise<void> {
  const app = await build(t, { pools: { main: pool } })
  const connection = await pool.getConnection()

  await connection.execute('SELECT ? AS a', [1])
  await connection.execute('SELECT ? AS a', [2])
  const statement = await connection.prepare('UPDATE notes SET name = ? WHERE id < 0')
  await statement.execute(['a'])
  await statement.execute(['b'])
  await statement.close()
  await connection.query({ sql: 'DELETE FROM notes WHERE id < ?', values: [0] })
  await connection.query('# a comment of MySQL\nREPLACE INTO notes (id) VALUES (1)')
  await connection.ping()
  await t.rejects(connection.execute('SELECT * FROM missing'))
  await t.rejects(connection.query({ sql: 'SELECT SLEEP(5)', timeout: 100 }), { code: 'PROTOCOL_SEQUENCE_TIMEOUT' })
  connection.destroy()

  const text = await scrape(app)
  t.strictSame(countsOf(text), { SELECT: 4, UPDATE: 2, DELETE: 1, INSERT: 1 })
  t.strictSame(nonZero(text, 'db_query_errors_total').sort(), [
    'db_query_errors_total{operation="SELECT",pool="main",sqlstate_class="42"} 1',
    'db_query_errors_total{operation="SELECT",pool="main",sqlstate_class="other"} 1',
  ])
  t.equal(readValue(text, 'db_query_duration_seconds_count{operation="SELECT",pool="main"}'), 3, 'one was not prepared')
  assertDocumented(t, {
    library: 'mysql2',
    counted:
      'queries of pools and their connections in every form: promises, callbacks, events, streams, prepared; waits, transactions, checkouts',
    notCounted: 'a connection or a cluster without a pool; a transaction that begins without BEGIN and only reads',
  })
}

async function implicitEnds(t: Test, pool: mysql.Pool): Promise<void> {
  const app = await build(t, { pools: { main: pool } })
  const connection = await pool.getConnection()
  const write = 'UPDATE notes SET name = NULL WHERE id = 1'

  for (const end of ['CREATE TABLE made (id int)', 'DROP TABLE made', 'BEGIN', 'COMMIT AND CHAIN', 'COMMIT']) {
    if (end !== 'COMMIT AND CHAIN' && end !== 'COMMIT') await connection.beginTransaction()
    await connection.query(write)
    await connection.query(end)
  }
  t.strictSame(outcomes(await scrape(app)), { commit: 5 }, 'the second BEGIN commits, and COMMIT AND CHAIN')
  await connection.query('SET autocommit = 0')
  await connection.query(write)
  await connection.query('ROLLBACK')
  await connection.query('SET autocommit = 1')
  connection.release()

  t.strictSame(outcomes(await scrape(app)), { commit: 5, rollback: 1 })
}

async function deadlock(t: Test, pool: mysql.Pool): Promise<void> {
  const app = await build(t, { pools: { main: pool } })
  const [first, second] = [await pool.getConnection(), await pool.getConnection()]
  const write = (id: number) => `UPDATE notes SET name = NULL WHERE id = ${id}`
  for (const connection of [first, second]) await connection.beginTransaction()
  await first.query(write(1))
  await second.query(write(2))

  const results = await Promise.allSettled([first.query(write(2)), second.query(write(1))])
  t.equal(results.filter(({ status }) => status === 'rejected').length, 1)
  t.strictSame(outcomes(await scrape(app)), { rollback: 1 })
  for (const connection of [first, second]) {
    await connection.rollback()
    connection.release()
  }
  const text = await scrape(app)
  t.strictSame(outcomes(text), { rollback: 2 })
  t.strictSame(nonZero(text, 'db_query_errors_total'), [
    'db_query_errors_total{operation="UPDATE",pool="main",sqlstate_class="40"} 1',
  ])
}

async function resets(t: Test, pool: mysql.Pool): Promise<void> {
  const app = await build(t, { pools: { main: pool } })
  const connection = await pool.getConnection()
  await connection.beginTransaction()
  await connection.changeUser({})
  await connection.beginTransaction()
  connection.release()

  await until('the connection to be reset', async () => outcomes(await scrape(app)).rollback === 2)
  t.strictSame(outcomes(await scrape(app)), { rollback: 2 })
}

async function destroyed(t: Test, pool: mysql.Pool): Promise<void> {
  const app = await build(t, { pools: { main: pool } })
  const connection = await pool.getConnection()
  await connection.beginTransaction()
  connection.query('SELECT SLEEP(60)').catch(() => {})

  connection.destroy()

  const text = await scrape(app)
  t.strictSame(outcomes(text), { lost: 1 })
  t.strictSame(countsOf(text), { BEGIN: 1, SELECT: 1 })
  t.equal(readValue(text, 'db_connection_checkout_seconds_count{pool="main"}'), 1)
  t.equal(readValue(text, 'db_connections_active{pool="main"}'), 0)
}

async function refused(t: Test, pool: mysql.Pool): Promise<void> {
  const app = await build(t, { pools: { main: pool }, upCheckMs: 0 })
  const connection = await pool.getConnection()

  const waits = pool.query('SELECT 1')
  await t.rejects(pool.query('SELECT 2'), { message: 'Queue limit reached.' })
  await t.rejects(pool.execute('SELECT 3'), { message: 'Queue limit reached.' })
  const during = await scrape(app)
  // The caller who waits gets another connection.
  connection.destroy()
  await waits

  t.equal(readValue(during, 'db_connections_waiting{pool="main"}'), 1)
  t.equal(readValue(during, 'db_up{pool="main"}'), 1)
  const text = await scrape(app)
  t.strictSame(countsOf(text), { SELECT: 3 })
  t.equal(readValue(text, 'db_connection_wait_seconds_count{pool="main",result="error"}'), 2)
  t.equal(
    readValue(text, 'db_connection_wait_seconds_count{pool="main",result="acquired"}'),
    2,
    'asked again, not anew',
  )
}
