import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Skippable, type Tool, ToolUnavailableError, toolOrSkip } from '@data20/dev-services'
import type { Test } from 'tap'
import { parse } from 'yaml'

/** The folder `monitoring`. */
export const MONITORING: string = fileURLToPath(new URL('..', import.meta.url))

/**
 * Debian's releases with Prometheus 2.42, 2.53 and 3.x. The last one moves, and is skipped where it is not available.
 */
export const SUITES = [
  { suite: 'bookworm', isRequired: true },
  { suite: 'trixie', isRequired: true },
  { suite: 'sid', isRequired: false },
] as const

/** The first release with an Alertmanager that reads addresses from files. */
export const ALERTMANAGER_SUITE = 'trixie'

/** Returns a tool of a suite, or `undefined` where it is skipped. */
export async function ofSuite(
  t: Skippable,
  { suite, isRequired }: (typeof SUITES)[number],
  get: (options: { suite: string }) => Promise<Tool>,
): Promise<Tool | undefined> {
  if (isRequired) return toolOrSkip(t, () => get({ suite }))
  try {
    return await get({ suite })
  } catch (error) {
    if (!(error instanceof ToolUnavailableError)) throw error
    t.pass(error.message, { skip: true })
    return undefined
  }
}

export function read(...path: string[]): string {
  return readFileSync(join(MONITORING, ...path), 'utf8')
}

/** Returns the names of the files in a folder with an ending. */
export function list(folder: string, ending: string): string[] {
  return readdirSync(join(MONITORING, folder)).filter((name) => name.endsWith(ending))
}

export interface Rule {
  file: string
  alert?: string
  record?: string
  expr: string
  for?: string
  labels: Record<string, string>
  annotations: Record<string, string>
}

/** Returns every shipped rule, in the order of the files. */
export function rules(): Rule[] {
  return ['rules', 'alerts'].flatMap((kind) =>
    list(`prometheus/${kind}`, '.yml').flatMap((name) => {
      const { groups } = parse(read('prometheus', kind, name)) as { groups: Array<{ rules: Rule[] }> }
      return groups.flatMap((group) =>
        group.rules.map(({ labels = {}, annotations = {}, ...rule }) => ({
          ...rule,
          labels,
          annotations,
          file: `${kind}/${name}`,
        })),
      )
    }),
  )
}

/** Returns a text with a part replaced. Throws if the part is missing. */
export function replace(text: string, part: string | RegExp, replacement: string): string {
  const replaced = text.replaceAll(part, () => replacement)
  if (replaced === text) throw new Error(`Expected the text to hold ${part}`)
  return replaced
}

export interface Received {
  path: string
  headers: IncomingHttpHeaders
  body: Buffer
}

/**
 * Starts a loopback server that keeps every accepted request. It answers with the status from `answer`, by default 200.
 */
export async function startReceiver(
  t: Test,
  answer: (received: Received) => number = () => 200,
): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const one = { path: request.url!, headers: request.headers, body: Buffer.concat(chunks) }
    const status = answer(one)
    if (status < 300) received.push(one)
    response.writeHead(status).end('ok')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close().closeAllConnections())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received }
}

/** Returns the messages to Slack, with their channels. */
export function slackMessages(received: Received[]): Array<{ channel: string; title: string; text: string }> {
  return received
    .filter(({ path }) => path === '/slack')
    .map(({ body }) => {
      const { channel, attachments } = JSON.parse(body.toString())
      return { channel, title: attachments[0].title, text: attachments[0].text }
    })
}
