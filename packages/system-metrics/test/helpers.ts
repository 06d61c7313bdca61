/** What the tests of system-metrics have in common. */
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import path from 'node:path'
import { readValue, startProcess, temporaryFolder, until } from '@data20/dev-services'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { type SystemMetricsOptions, systemMetrics } from '../src/index.ts'

export { readValue, until }

/** The expected values are read from /proc, which only Linux has. */
export const skip: string | false = process.platform === 'linux' ? false : 'the expected values are read from /proc'
/** How much memory and disk usage may change between the test's reading and the plugin's. */
export const TOLERANCE_BYTES: number = 64 * 1024 * 1024

export async function build(t: Test, options: SystemMetricsOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(systemMetrics, { intervalMs: 60_000, ...options })
  await app.ready()
  return app
}

/** Waits for the second sample, which comes after half a second. The next one is a minute away and disturbs no test. */
export async function secondSample(app: FastifyInstance): Promise<void> {
  await until('a second sample', async () => readValue(await scrape(app), 'system_cpu_percent') !== undefined)
  // Its readings end one after the other.
  await app.systemMetrics.sample()
}

export async function scrape(app: FastifyInstance): Promise<string> {
  const response = await app.inject('/metrics')
  return response.body
}

/** Returns the lines of our series, without those of metrics-core. */
export function samplesOf(text: string): string[] {
  return text.split('\n').filter((line) => /^(system|container)_/.test(line))
}

export function readMeminfo(key: string): number {
  const line = readFileSync('/proc/meminfo', 'utf8')
    .split('\n')
    .find((line) => line.startsWith(`${key}:`))
  return Number(line?.split(/\s+/)[1]) * 1024
}

export function temporary(t: Test): string {
  return temporaryFolder(t, 'system-metrics')
}

/** Writes files by path below a new folder. */
export function writeTree(t: Test, files: Record<string, string>): string {
  const root = temporary(t)
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(root, name)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
  return root
}

/** Sends bytes through the loopback device. */
export async function sendLoopback(bytes: number): Promise<void> {
  const server = createServer((_request, response) => response.end(Buffer.alloc(bytes)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.end('GET / HTTP/1.0\r\n\r\n').resume()
  await once(socket, 'close')
  server.close()
}

/** Returns the source of a program that imports the compiled plugin. */
export function program(body: string): string {
  const url = (name: string) => JSON.stringify(import.meta.resolve(name))
  const built = JSON.stringify(new URL('../dist/index.js', import.meta.url).href)
  return `import Fastify from ${url('fastify')}
    import { systemMetrics } from ${built}
    const app = Fastify()
    ${body}`
}

/** Runs such a program as users do, and resolves when it has ended. */
export async function runProgram(
  t: Test,
  body: string,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const file = path.join(writeTree(t, { 'program.mjs': program(body) }), 'program.mjs')
  const { child, exited, output } = startProcess(t, file)
  await until('the program to end', () => child.exitCode !== null || child.signalCode !== null)
  return { code: await exited, ...output }
}
