import t from 'tap'
import { OPERATIONS } from '../src/metrics.ts'
import { operationOf } from '../src/operation.ts'

t.test('the operation is the verb of the statement', async (t) => {
  const cases: Array<[string, unknown]> = [
    ['SELECT', 'SELECT 1'],
    ['SELECT', ' \t\r\nselect 1'],
    ['SELECT', '((SELECT 1) UNION (SELECT 2))'],
    ['SELECT', ';; SELECT 1'],
    ['SELECT', 'VALUES (1), (2)'],
    ['SELECT', 'TABLE documents'],
    ['SELECT', 'select*from t'],
    ['INSERT', 'Insert into t values (1)'],
    ['UPDATE', 'UPDATE t SET a = 1'],
    ['DELETE', 'DELETE FROM t'],
    ['MERGE', 'MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE'],
    ['COPY', 'COPY t FROM STDIN'],
    ['BEGIN', 'BEGIN'],
    ['BEGIN', 'begin;'],
    ['BEGIN', 'START TRANSACTION READ ONLY'],
    ['COMMIT', 'COMMIT'],
    ['COMMIT', 'END'],
    ['ROLLBACK', 'ROLLBACK'],
    ['ROLLBACK', 'ABORT'],
    ['DDL', 'CREATE TABLE t (a int)'],
    ['DDL', 'ALTER TABLE t ADD b int'],
    ['DDL', 'DROP TABLE t'],
    ['DDL', 'TRUNCATE t'],
    ['DDL', 'GRANT SELECT ON t TO reader'],
    ['OTHER', 'EXPLAIN SELECT 1'],
    ['OTHER', 'SET search_path = a'],
    ['SAVEPOINT', 'SAVEPOINT a'],
    ['SAVEPOINT', 'RELEASE SAVEPOINT a'],
    ['SAVEPOINT', 'rollback to a'],
    ['SAVEPOINT', 'ROLLBACK WORK TO SAVEPOINT a'],
    ['SAVEPOINT', 'ROLLBACK -- TO\n TRANSACTION TO "a"'],
    ['ROLLBACK', 'ROLLBACK TRANSACTION'],
    ['ROLLBACK', 'ROLLBACK AND CHAIN'],
    ['ROLLBACK', 'ROLLBACK -- TO a'],
    ['ROLLBACK', "ROLLBACK PREPARED 'to'"],
    ['OTHER', ''],
    ['OTHER', '   '],
    ['OTHER', 'SELECTED'],
    ['OTHER', undefined],
    ['OTHER', null],
    ['OTHER', 7],
  ]
  for (const [operation, text] of cases) t.equal(operationOf(text), operation, String(text))
})

t.test('comments are skipped, nested ones and those that look like statements included', async (t) => {
  t.equal(operationOf('-- SELECT\nINSERT INTO t VALUES (1)'), 'INSERT')
  t.equal(operationOf('--\r\n--DELETE\r\nUPDATE t SET a = 1'), 'UPDATE')
  t.equal(operationOf('/* SELECT */DELETE FROM t'), 'DELETE')
  t.equal(operationOf('/* a /* b */ SELECT */ UPDATE t SET a = 1'), 'UPDATE')
  t.equal(operationOf('/*/* */*/ -- a\n /**/ (SELECT 1)'), 'SELECT')
  t.equal(operationOf('SELECT/* a */1'), 'SELECT')
  t.equal(operationOf('/* never closed SELECT 1'), 'OTHER')
  t.equal(operationOf('-- only this'), 'OTHER')
})

t.test('WITH is looked through to the statement that it ends in', async (t) => {
  const cases: Array<[string, string]> = [
    ['SELECT', 'WITH a AS (SELECT 1) SELECT * FROM a'],
    ['INSERT', 'WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a'],
    ['UPDATE', 'with recursive a(n) as (select 1 union all select n + 1 from a) update t set b = 1'],
    ['DELETE', 'WITH a AS MATERIALIZED (INSERT INTO t VALUES (1) RETURNING *), b AS (SELECT 2) DELETE FROM t'],
    ['MERGE', 'WITH a AS NOT MATERIALIZED (SELECT 1) MERGE INTO t USING a ON true WHEN MATCHED THEN DELETE'],
    ['SELECT', 'WITH a AS (DELETE FROM t RETURNING *) (SELECT * FROM a)'],
    ['SELECT', '(WITH a AS (SELECT 1) SELECT * FROM a)'],
    ['SELECT', 'WITH a AS (UPDATE t SET b = 1) VALUES (1)'],
    ['INSERT', 'WITH update AS (SELECT 1), delete AS (SELECT 2) INSERT INTO t SELECT 1'],
    ['INSERT', "WITH a AS (SELECT ') DELETE', 'it''s (', \"x)\" FROM t) INSERT INTO t SELECT 1"],
    ['INSERT', "WITH a AS (SELECT E'\\') DELETE ' FROM t) INSERT INTO t SELECT 1"],
    ['INSERT', 'WITH a AS (SELECT $$) DELETE$$, $x$ ) $$ UPDATE $x$) INSERT INTO t SELECT 1'],
    ['INSERT', 'WITH a AS (SELECT $1, $2) INSERT INTO t SELECT $3'],
    ['DELETE', 'WITH a AS (SELECT 1 -- ) UPDATE\n /* ) /* MERGE */ ( */) /* UPDATE */ -- SELECT\n DELETE FROM t'],
    ['INSERT', "WITH a AS (SELECT date'2026-01-01', pipe'\\' FROM t) INSERT INTO t SELECT 1"],
    ['SELECT', 'WITH RECURSIVE a(n) AS (SELECT 1) SEARCH DEPTH FIRST BY n SET o CYCLE n SET c USING p SELECT 1'],
    ['OTHER', 'WITH'],
    ['OTHER', 'WITH a AS ('],
    ['OTHER', 'WITH a AS (SELECT $a$ SELECT'],
  ]
  for (const [operation, text] of cases) t.equal(operationOf(text), operation, text)
})

t.test('a hostile or huge text costs a bounded time', async (t) => {
  const size = 1_000_000
  const texts = [
    '/*'.repeat(size),
    '('.repeat(size),
    '--\n'.repeat(size),
    'A'.repeat(size),
    `WITH a AS (${'('.repeat(size)}`,
    `WITH a AS (SELECT ${"'".repeat(size)}`,
    `WITH a AS (SELECT ${"E'\\".repeat(size)}`,
    `WITH a AS (SELECT ${'$a'.repeat(size)}`,
    `WITH a AS (SELECT ${'$a$'.repeat(size)}`,
    `WITH ${'/'.repeat(size)}`,
    `WITH ${'/*'.repeat(size)}`,
    `WITH ${'a, '.repeat(size)}`,
    `WITH a AS (SELECT '${'x'.repeat(size)}') SELECT 1`,
  ]
  for (const text of texts.map(flat)) {
    const startMs = performance.now()
    for (let run = 0; run < 10; run += 1) t.ok(OPERATIONS.includes(operationOf(text)))
    const milliseconds = (performance.now() - startMs) / 10
    // Ten times what the worst takes, and a tenth of what reading the whole text would.
    t.ok(milliseconds < 20, `${text.slice(0, 20)}… takes ${milliseconds.toFixed(2)} ms`)
  }
})

/** A string in one piece; V8 puts repeated ones together when they are first read, which takes a while. */
function flat(text: string): string {
  return Buffer.from(text).toString()
}
