/**
 * What an SQL text does, from a fixed list, found by reading no more of the text than it takes.
 *
 * @module
 */
import type { OPERATIONS } from './metrics.ts'

export type Operation = (typeof OPERATIONS)[number]

/** The statements that can follow `WITH`. PostgreSQL itself reports `VALUES` and `TABLE` as SELECT. */
const DATA_OPERATIONS: ReadonlyMap<string, Operation> = new Map([
  ['SELECT', 'SELECT'],
  ['VALUES', 'SELECT'],
  ['TABLE', 'SELECT'],
  ['INSERT', 'INSERT'],
  ['UPDATE', 'UPDATE'],
  ['DELETE', 'DELETE'],
  ['MERGE', 'MERGE'],
  // MySQL's INSERT that deletes what is in its way.
  ['REPLACE', 'INSERT'],
])

const OPERATION_OF_WORD: ReadonlyMap<string, Operation> = new Map([
  ...DATA_OPERATIONS,
  ['COPY', 'COPY'],
  ['BEGIN', 'BEGIN'],
  ['START', 'BEGIN'],
  ['COMMIT', 'COMMIT'],
  ['END', 'COMMIT'],
  ['ROLLBACK', 'ROLLBACK'],
  ['ABORT', 'ROLLBACK'],
  ['SAVEPOINT', 'SAVEPOINT'],
  ['RELEASE', 'SAVEPOINT'],
  ...['CREATE', 'ALTER', 'DROP', 'TRUNCATE', 'COMMENT', 'GRANT', 'REVOKE'].map((word) => [word, 'DDL'] as const),
])

/** Characters that are looked at: what hides its verb behind more than these is OTHER. */
const PREFIX_LENGTH = 8192

/** No word that is looked for is longer, so a longer one is not worth an upper-case copy. */
const LONGEST_WORD = 'RECURSIVE'.length

/** What follows `ROLLBACK` where it ends a part of a transaction only. */
const TO_SAVEPOINT = /(?:\s|--[^\n\r]*[\n\r])+(?:(?:WORK|TRANSACTION)(?:\s|--[^\n\r]*[\n\r])+)?TO(?![\w$\x80-\uffff])/iy

/** What may stand before a statement: white space, empty statements, parentheses and line comments, MySQL's too. */
const LEADING = /(?:[\s;(]+|(?:--|#)[^\n\r]*)*/y

const COMMENT_EDGE = /\/\*|\*\//g

/**
 * One token: a line comment, a string with backslashes, a string, a quoted name, the mark of a dollar-quoted string, a
 * word, white space, or any other character. A doubled quote reads as two strings side by side, which comes to the
 * same. No alternative can match in two ways, so the time is linear in the text.
 */
const TOKEN =
  /--[^\n\r]*|[eE]'(?:[^'\\]|\\[\s\S])*'?|'[^']*'?|"[^"]*"?|\$(?:[a-zA-Z_\x80-\uffff][\w\x80-\uffff]*)?\$|[\w$\x80-\uffff]+|\s+|[\s\S]/y

/** Inside of parentheses: everything up to a parenthesis, a comment, or a string with the word before it. */
const PLAIN = /(?:[^()'"$/\w\x80-\uffff-]+|[\w\x80-\uffff]+(?![\w\x80-\uffff']))*/y

/**
 * The operation of an SQL text; of several statements, the first one's. Anything but a string, such as the missing text
 * of a query that was prepared before and is sent by its name, is OTHER. Takes less than a microsecond for a text that
 * begins with its verb, some microseconds for a usual WITH, two milliseconds for the worst that somebody can write;
 * remembers nothing.
 */
export function operationOf(text: unknown): Operation {
  if (typeof text !== 'string') return 'OTHER'
  const sql = text.length > PREFIX_LENGTH ? text.slice(0, PREFIX_LENGTH) : text
  const start = skipLeading(sql)
  const word = wordAt(sql, start)
  if (word === 'WITH') return operationAfterWith(sql, start + word.length)
  const operation = OPERATION_OF_WORD.get(word) ?? 'OTHER'
  if (operation !== 'ROLLBACK') return operation
  const end = start + word.length
  return endOf(TO_SAVEPOINT, sql, end) > end ? 'SAVEPOINT' : 'ROLLBACK'
}

function skipLeading(sql: string): number {
  let position = 0
  for (;;) {
    position = endOf(LEADING, sql, position)
    if (!sql.startsWith('/*', position)) return position
    position = skipComment(sql, position)
  }
}

/** The position behind a block comment; comments nest. */
function skipComment(sql: string, start: number): number {
  COMMENT_EDGE.lastIndex = start
  let depth = 0
  for (let edge = COMMENT_EDGE.exec(sql); edge !== null; edge = COMMENT_EDGE.exec(sql)) {
    depth += edge[0] === '/*' ? 1 : -1
    if (depth === 0) return COMMENT_EDGE.lastIndex
  }
  return sql.length
}

/**
 * The word at a position in upper case; empty where there is none, or one that is longer than all that are looked for.
 */
function wordAt(sql: string, start: number): string {
  let end = start
  while (end < sql.length && isLetter(sql.charCodeAt(end))) end += 1
  return end - start > LONGEST_WORD ? '' : sql.slice(start, end).toUpperCase()
}

/**
 * The statement that a WITH list belongs to: the first verb outside of parentheses. Directly after WITH, RECURSIVE or a
 * comma stands a name, which may look like a verb; a parenthesis directly after another one is a parenthesized query.
 */
function operationAfterWith(sql: string, start: number): Operation {
  let depth = 0
  let previous = 'WITH'
  let position = start
  while (position < sql.length) {
    if (depth > 0) position = endOf(PLAIN, sql, position)
    const tokenStart = position
    position = endOf(TOKEN, sql, tokenStart)
    const token = sql.slice(tokenStart, position)
    if (token === '/' && sql[position] === '*') {
      position = skipComment(sql, tokenStart)
    } else if (token === '(') {
      if (depth === 0 && previous === ')') return 'SELECT'
      depth += 1
    } else if (token === ')') {
      depth -= 1
      previous = ')'
    } else if (token.length > 1 && token.startsWith('$') && token.endsWith('$')) {
      const end = sql.indexOf(token, position)
      if (end === -1) return 'OTHER'
      position = end + token.length
    } else if (depth === 0 && !/^(?:\s|--)/.test(token)) {
      const word = token.length > LONGEST_WORD ? '' : token.toUpperCase()
      const operation = DATA_OPERATIONS.get(word)
      if (operation !== undefined && !(previous === 'WITH' || previous === 'RECURSIVE' || previous === ',')) {
        return operation
      }
      previous = word
    }
  }
  return 'OTHER'
}

/** The end of what a sticky expression matches at a position; the position itself where it matches nothing. */
function endOf(expression: RegExp, sql: string, position: number): number {
  expression.lastIndex = position
  return expression.test(sql) ? expression.lastIndex : position
}

function isLetter(code: number): boolean {
  // The bit that tells lower case from upper case in ASCII is set.
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x7a
}
