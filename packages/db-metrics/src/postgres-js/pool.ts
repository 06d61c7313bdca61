/**
 * What db-metrics uses of postgres.js, which has no object for its pool: the function `sql` stands for it.
 *
 * @module
 */

/** The part of `sql` of postgres.js that is used. */
export interface PostgresJsPool {
  (strings: TemplateStringsArray, ...values: never[]): unknown
  readonly options: { readonly max: number }
  unsafe(...args: never[]): unknown
  reserve(...args: never[]): unknown
  end(...args: never[]): unknown
}

/** What tells connections apart. postgres.js sets it as the state of each query that it sends. */
export type Backend = object

/** A query of postgres.js: a promise that is sent when somebody waits for it. */
export interface Query extends Promise<unknown> {
  readonly strings: readonly string[]
  /** What sends the query: the same function for all queries of `sql`, another one in a transaction. */
  readonly handler: object
  /** Missing in the queries that postgres.js sends for itself. */
  readonly canceller?: unknown
  readonly options: { onexecute?: (connection: unknown) => unknown }
  readonly statement: { readonly string: string } | null
  readonly executed: boolean
  state: Backend | null
  resolve(result: unknown): void
  reject(error: unknown): void
}

/** Returns true for `sql` of postgres.js. In a transaction or a reserved connection it has no `end`. */
export function isPostgresJsPool(value: unknown): value is PostgresJsPool {
  if (typeof value !== 'function') return false
  const { options, unsafe, reserve, end } = value as Partial<PostgresJsPool>
  const methods = [unsafe, reserve, end]
  return methods.every((method) => typeof method === 'function') && typeof options?.max === 'number'
}

/** Makes a query that is never sent, to look at. */
export function sampleQuery(sql: unknown): Query {
  return (sql as (strings: TemplateStringsArray) => Query)`SELECT 1`
}

/** Returns the SQL of a query: as it was sent, or else its first part. */
export function textOf({ statement, strings }: Query): unknown {
  return statement?.string ?? strings[0]
}
