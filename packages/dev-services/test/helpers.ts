/** What the tests of dev-services have in common. */
import { createConnection } from 'node:net'
import pg from 'pg'
import type { Test } from 'tap'

export const EXPOSITION: string = `# HELP http_requests_total Requests that were answered.
# TYPE http_requests_total counter
http_requests_total{status="200"} 3
`

export const ALERTMANAGER_CONFIG: string = 'route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n'

/** Sets environment variables until the test ends. */
export function setEnvironment(t: Test, variables: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(variables)) {
    const before = process.env[name]
    t.teardown(() => setOne(name, before))
    setOne(name, value)
  }
  function setOne(name: string, value: string | undefined): void {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
}

export async function askPostgres(url: string, text: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<Record<string, unknown>>(text)
    return rows[0] && Object.values(rows[0])[0]
  } finally {
    await client.end()
  }
}

/** Sends one inline command and resolves to the first reply, without its line ending. */
export function askRedis(url: string, command: string): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: hostname, port: Number(port) })
    socket.once('error', reject).once('data', (reply) => {
      resolve(reply.toString().trim())
      socket.destroy()
    })
    socket.write(`${command}\r\n`)
  })
}

export function hasEnded(pid: number | undefined): boolean {
  try {
    process.kill(pid!, 0)
    return false
  } catch {
    return true
  }
}
