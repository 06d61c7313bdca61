/**
 * `search`: full-text search.
 *
 * @module
 */

import type { FromSchema } from 'json-schema-to-ts'
import MiniSearch, { type SearchResult as Hit } from 'minisearch'
import { type Corpus, compare } from '../corpus/corpus.ts'
import type { Block, Document } from '../corpus/document.ts'
import type { Tool } from './tool.ts'
import { termsOf, toOneLine } from './words.ts'

/** What `search` answers. */
export interface SearchResult {
  /** Documents that match, those beyond `limit` included. */
  total: number
  /** Best first; equal scores are sorted by document. */
  results: FoundDocument[]
}

interface FoundDocument {
  document: string
  title: string
  /** The higher the better; comparable within one answer only. */
  score: number
  /** The heading above the snippet, empty when there is none. */
  heading: string
  /** Where the snippet's block starts. */
  line: number
  /** At most about 200 characters of text around the first match. */
  snippet: string
}

const SNIPPET_CHARACTERS = 200
// A short prefix matches thousands of terms; the best of them are enough to choose a snippet.
const MAX_SNIPPET_TERMS = 20
const MAX_QUERY_TERMS = 32

const parameters = {
  type: 'object',
  properties: {
    query: {
      type: 'string',
      minLength: 1,
      maxLength: 500,
      description: 'Words to look for. Prefixes and small typing errors match as well.',
    },
    limit: { type: 'integer', default: 10, minimum: 1, maximum: 100, description: 'Documents to answer with.' },
  },
  required: ['query'],
  additionalProperties: false,
} as const

/** Ranked by BM25+ (minisearch); a match in the title counts five times, in a heading twice. */
export const tool: Tool = {
  name: 'search',
  description: 'Full-text search with ranking and snippets.',
  parameters,
  run,
}

// The index of a corpus lives as long as the corpus.
const indexes = new WeakMap<Corpus, MiniSearch<Document>>()

function run(corpus: Corpus, { query, limit }: Required<FromSchema<typeof parameters>>): SearchResult {
  const words = [...new Set(termsOf(query))].slice(0, MAX_QUERY_TERMS)
  const hits = indexOf(corpus).search(words.join(' '), {
    boost: { title: 5, headings: 2 },
    prefix: (term) => term.length > 2,
    fuzzy: (term) => (term.length > 3 ? 0.2 : false),
  })
  hits.sort((a, b) => b.score - a.score || compare(a.id, b.id))
  return {
    total: hits.length,
    results: hits.slice(0, limit).map((hit) => describe(corpus.byId.get(hit.id)!, hit, words)),
  }
}

function indexOf(corpus: Corpus): MiniSearch<Document> {
  let index = indexes.get(corpus)
  if (!index) {
    index = new MiniSearch<Document>({
      fields: ['title', 'headings', 'text'],
      extractField,
      tokenize: (text) => [...termsOf(text)],
      // `termsOf` has done it.
      processTerm: (term) => term,
    })
    index.addAll(corpus.documents)
    indexes.set(corpus, index)
  }
  return index
}

function extractField(document: Document, field: string): string {
  if (field === 'text') return document.blocks.map((block) => block.text).join('\n')
  if (field === 'headings') return document.headings.map((heading) => heading.text).join('\n')
  return field === 'title' ? document.title : document.id
}

function describe(document: Document, hit: Hit, words: string[]): FoundDocument {
  // Words as asked for come first, then what they matched as a prefix or with an error.
  const terms = [...new Set([...words.filter((word) => word in hit.match), ...hit.terms])].slice(0, MAX_SNIPPET_TERMS)
  const { block, heading } = bestBlock(document, terms)
  return {
    document: document.id,
    title: document.title,
    score: Math.round(hit.score * 1000) / 1000,
    heading,
    line: block?.line ?? 1,
    snippet: block ? cut(block.text, terms) : '',
  }
}

/** The first block that holds the most of the terms, and the heading above it. */
function bestBlock(document: Document, terms: string[]): { block: Block | undefined; heading: string } {
  let best: Block | undefined
  let bestHeading = ''
  let bestCount = -1
  let heading = ''
  for (const block of document.blocks) {
    if (block.kind === 'heading') heading = block.text
    const text = block.text.toLowerCase()
    // Of two blocks with as many terms, text says more than a heading.
    const found = terms.reduce((count, term) => count + (text.includes(term) ? 1 : 0), 0)
    const count = found * 2 - (block.kind === 'heading' ? 1 : 0)
    if (count <= bestCount) continue
    best = block
    bestHeading = heading
    bestCount = count
  }
  return { block: best, heading: bestHeading }
}

function cut(text: string, terms: string[]): string {
  const lower = text.toLowerCase()
  const positions = terms.map((term) => lower.indexOf(term)).filter((position) => position >= 0)
  const first = positions.length > 0 ? Math.min(...positions) : 0
  const start = text.length <= SNIPPET_CHARACTERS ? 0 : Math.max(0, first - SNIPPET_CHARACTERS / 4)
  const end = Math.min(text.length, start + SNIPPET_CHARACTERS)
  let part = text.slice(start, end)
  // Words that the cut would tear are left out.
  if (start > 0) part = part.replace(/^\S{0,40}\s/, '')
  if (end < text.length) part = part.replace(/\s\S{0,40}$/, '')
  return `${start > 0 ? '…' : ''}${toOneLine(part)}${end < text.length ? '…' : ''}`
}
