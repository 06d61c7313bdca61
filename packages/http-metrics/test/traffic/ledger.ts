/** The client's record of what it sent and saw: the exact counts that `/metrics` has to agree with. */
/** Counts by series. */
export class Ledger {
  readonly requests = new Map<string, number>()
  readonly aborted = new Map<string, number>()
  readonly parserErrors = new Map<string, number>()

  request(endpoint: string, method: string, status: number, phase?: string): void {
    add(this.requests, `${endpoint} ${method} ${status}`)
    if (phase !== undefined) add(this.aborted, `${endpoint} ${method} ${phase}`)
  }

  parserError(code: string): void {
    add(this.parserErrors, code)
  }
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
