/** Pools, folders and counts that the tests of the knowledge base share. */
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { createToolPool, type ToolPool } from '../../dist/knowledge/pool.js'
import { findTool, tools } from '../../dist/knowledge/tools/index.js'
import { parseParameters } from '../../dist/knowledge/tools/parameters.js'
import '../threads.ts'

export const SMALL = fileURLToPath(new URL('../fixtures/small', import.meta.url))
export const FASTIFY_DOCS = fileURLToPath(new URL('docs', import.meta.resolve('fastify/package.json')))

type Run = (name: string, params?: unknown) => Promise<unknown>

export function poolOf(t: Test, docsDir: string): Run {
  const pool: ToolPool = createToolPool({ docsDir, maxThreads: 1 })
  t.teardown(() => pool.close())
  return (name, params) => runIn(pool, name, params)
}

/** Validates a call as a request does, and runs it. Rejects for a call that is refused. */
export async function runIn(
  pool: ToolPool,
  name: string,
  params: unknown = {},
  options: { signal?: AbortSignal } = {},
): Promise<unknown> {
  return await pool.run(name, parseParameters(findTool(name), params), options)
}

export async function runAll(run: Run): Promise<Record<string, unknown>> {
  const results: Record<string, unknown> = {}
  for (const name of tools.keys())
    results[name] = await run(name, name === 'search' ? { query: 'word licence text' } : {})
  return results
}

/** The Markdown sources of Fastify's documentation by id. */
export function fastifySources(): Map<string, string> {
  return new Map(markdownFilesOf(FASTIFY_DOCS).map((id) => [id, readFileSync(join(FASTIFY_DOCS, id), 'utf8')]))
}

function markdownFilesOf(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith('.md')).sort()
}

/**
 * The targets of inline links and images, found without a parser: code is cut out by hand, then `](target)` is searched
 * for.
 */
export function grepLinks(source: string): string[] {
  let isCode = false
  const prose = source.split('\n').filter((line) => {
    const isFence = /^\s*(?:> ?)?```/.test(line)
    if (isFence) isCode = !isCode
    return !isFence && !isCode
  })
  const text = prose.join('\n').replace(/`[^`]*`/g, '')
  return [...text.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)].map(([, url]) => url!)
}

/** Text of which no two passages are alike, so that each has to be compared. */
export function distinctPassages(seed: number, characters: number): string {
  let text = ''
  for (let passage = 0; text.length < characters; passage++) {
    for (let word = 0; word < 40; word++) text += `w${(seed * 7919 + passage * 104_729 + word * 1299) % 9973} `
    text += '\n\n'
  }
  return text
}

/** How much of one core this process uses during the next milliseconds. */
export async function busyShare(durationMs: number): Promise<number> {
  const start = process.cpuUsage()
  await sleep(durationMs)
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1000 / durationMs
}

/** Root may read everything; as nobody, permissions count. */
export async function asNobody<Result>(task: () => Promise<Result>): Promise<Result> {
  if (process.getuid?.() !== 0) return task()
  process.seteuid!(65534)
  try {
    return await task()
  } finally {
    process.seteuid!(0)
  }
}

/** A folder with symbolic links in, out and in circles, a pipe, and a document that nobody may read. */
export function folderOfLinks(t: Test): { docsDir: string; outer: string } {
  const made = t.testdir({
    outside: { 'secret.md': '# Topsecret\n\nThe topsecret word.\n', 'plain.txt': 'topsecret' },
    docs: {
      'real.md': '# Real\n',
      'text.txt': '# Named by a link\n',
      'closed.md': '# Closed\n',
      sub: { 'deep.md': '# Deep\n\n[up](../real.md) [by a link](again/sub/deep.md) [same](same.md)\n' },
      '.hidden': { 'hidden.md': '# Hidden\n' },
      node_modules: { 'package.md': '# Package\n' },
      'probe.md':
        '[a](leave.md) [b](leave/secret.md) [c](leave/none.md) [d](%2e%2e/outside/secret.md) [e](/../outside/secret.md) [f](.hidden/hidden.md) [g](.hidden/none.md)\n',
    },
  })
  // Under a folder that anybody may enter, as nobody does below; the checkout may be in one that is closed.
  const outer = mkdtempSync(join(tmpdir(), 'data20-links-'))
  t.teardown(() => rmSync(outer, { recursive: true, force: true }))
  chmodSync(outer, 0o755)
  cpSync(made, outer, { recursive: true })
  const docsDir = join(outer, 'docs')
  const link = (target: string, path: string): void => symlinkSync(target, join(docsDir, path))
  link(join(outer, 'outside/secret.md'), 'leave.md')
  link('../outside', 'leave')
  link('../../outside/secret.md', 'sub/leave-up.md')
  link('/etc/passwd', 'passwd.md')
  link('.', 'again')
  link('loop-b.md', 'loop-a.md')
  link('loop-a.md', 'loop-b.md')
  link('real.md', 'same.md')
  link(join(docsDir, 'sub/deep.md'), 'absolute.md')
  link('text.txt', 'named.md')
  link('.hidden/hidden.md', 'unhidden.md')
  execFileSync('mkfifo', [join(docsDir, 'pipe.md')])
  chmodSync(join(docsDir, 'closed.md'), 0)
  return { docsDir, outer }
}
