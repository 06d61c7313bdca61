/**
 * What the tools answer on a folder, in a form that is small enough to keep and detailed enough to explain a
 * difference.
 */
import { createHash } from 'node:crypto'
import { loadCorpus } from '../../dist/knowledge/corpus/corpus.js'
import type { Document } from '../../dist/knowledge/corpus/document.js'
import { findTool } from '../../dist/knowledge/tools/index.js'
import { parseParameters } from '../../dist/knowledge/tools/parameters.js'

/** Answers by tool and parameters, and the structure of each document by id. */
export interface Answers {
  tools: Record<string, unknown>
  /**
   * One line per heading, block and link: kind, line number, then the depth and slug, a hash of the text, or the URL.
   */
  documents: Record<string, string[]>
}

const CALLS: ReadonlyArray<[tool: string, parameters: Record<string, unknown>]> = [
  ['build_graph', {}],
  ['search', { query: 'content type parser' }],
  ['search', { query: 'guide hook comand', limit: 40 }],
  ['extract_keywords', {}],
  ['extract_keywords', { document: 'Reference/Hooks.md', limit: 100 }],
  ['find_duplicates', {}],
  ['find_duplicates', { threshold: 0.3 }],
  ['check_links', {}],
  ['document_stats', {}],
]

/** Runs every tool on the folder. A failing tool is recorded as its message. */
export async function answersOf(docsDir: string): Promise<Answers> {
  const corpus = await loadCorpus(docsDir)
  const tools: Answers['tools'] = {}
  for (const [name, parameters] of CALLS) {
    const tool = findTool(name)
    const call = `${name} ${JSON.stringify(parameters)}`
    try {
      tools[call] = await tool.run(corpus, parseParameters(tool, parameters))
    } catch (error) {
      tools[call] = (error as Error).message
    }
  }
  const documents = Object.fromEntries(corpus.documents.map((document) => [document.id, outline(document)]))
  return JSON.parse(JSON.stringify({ tools, documents }))
}

function outline({ headings, anchors, blocks, links }: Document): string[] {
  return [
    ...headings.map(({ depth, slug, line }) => `h${depth} ${line} #${slug}`),
    `anchors ${hash([...anchors].sort().join('\n'))}`,
    ...blocks.map(({ kind, text, line }) => `${kind} ${line} ${hash(text)}`),
    ...links.map(({ kind, url, line }) => `${kind} ${line} ${url}`),
  ]
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}

/**
 * Lists the leaves in which two answers differ, each as `path: before → after`. Lists of different length differ by
 * entries.
 */
export function differencesOf(before: unknown, after: unknown, path = ''): string[] {
  if (Array.isArray(before) && Array.isArray(after) && before.length !== after.length) {
    const [left, right] = [before, after].map((list) => list.map((entry) => JSON.stringify(entry))) as [
      string[],
      string[],
    ]
    const removed = left.filter((entry) => !right.includes(entry)).map((entry) => `${path}: ${entry} → nothing`)
    const added = right.filter((entry) => !left.includes(entry)).map((entry) => `${path}: nothing → ${entry}`)
    return [...removed, ...added]
  }
  if (isObject(before) && isObject(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)])
    return [...keys].flatMap((key) => differencesOf(before[key], after[key], path === '' ? key : `${path} / ${key}`))
  }
  return Object.is(before, after) ? [] : [`${path}: ${JSON.stringify(before)} → ${JSON.stringify(after)}`]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
