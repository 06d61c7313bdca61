/**
 * Asks a database of postgres.js if it is up.
 *
 * @module
 */
import { endsWithin } from '../up.ts'
import type { PostgresJsPool, Query } from './pool.ts'

/** The questions of all applications, which none of them counts. */
const questions = new WeakSet<Query>()

export function isQuestion(query: Query): boolean {
  return questions.has(query)
}

/**
 * Returns what sends `SELECT 1` and rejects where there is no answer in time. While there is none, no second one is
 * sent: it could not be sent on another connection.
 */
export function createQuestion(sql: PostgresJsPool): (timeoutMs: number) => Promise<void> {
  let asking: { query: Promise<unknown>; error: unknown } | undefined
  return async function ask(timeoutMs) {
    asking ??= send()
    const current = asking
    const hasEnded = await endsWithin(timeoutMs, current.query)
    if (!hasEnded) throw new Error('no answer to SELECT 1')
    asking = undefined
    if (current.error) throw current.error
  }

  function send(): { query: Promise<unknown>; error: unknown } {
    const query = (sql.unsafe as (text: string) => Query)('SELECT 1')
    questions.add(query)
    const question = {
      error: undefined as unknown,
      query: query.then(ignore, (error) => {
        question.error = error ?? new Error('no answer to SELECT 1')
      }),
    }
    return question
  }
}

function ignore(): void {}
