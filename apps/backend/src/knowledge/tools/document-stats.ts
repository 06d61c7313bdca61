/**
 * `document_stats`: the size of each document.
 *
 * @module
 */
import type { Corpus, Skipped } from '../corpus/corpus.ts'
import type { Document } from '../corpus/document.ts'
import type { Tool } from './tool.ts'
import { countWords } from './words.ts'

/** What `document_stats` answers. */
export interface StatsResult {
  /** Every document, sorted by path. */
  documents: DocumentStats[]
  totals: Stats & { documents: number }
  /** Files and folders that were left out, and why. */
  skipped: Skipped[]
}

interface Stats {
  bytes: number
  /** Words of prose: headings, paragraphs and tables, without code blocks. */
  words: number
  /** Words of prose at 238 words a minute, rounded to a tenth. */
  reading_minutes: number
  headings: number
  links: number
  images: number
  code_blocks: number
  /** Characters in code blocks as a share of all characters of text, 0 to 1, rounded to a thousandth. */
  code_share: number
}

interface DocumentStats extends Stats {
  document: string
  title: string
}

interface Counts extends Omit<Stats, 'reading_minutes' | 'code_share'> {
  codeCharacters: number
  characters: number
}

// Adults reading English non-fiction in silence: M. Brysbaert, “How many words do we read per minute?”, 2019.
const WORDS_PER_MINUTE = 238

const parameters = { type: 'object', properties: {}, additionalProperties: false } as const

/** Characters that only make up the Markdown (`#`, `**`, fences) are not counted. */
export const tool: Tool = {
  name: 'document_stats',
  description: 'Words, reading time, headings, links and share of code of each document and of all.',
  parameters,
  run,
}

function run(corpus: Corpus): StatsResult {
  const counted = corpus.documents.map((document) => ({ document, counts: count(document) }))
  const documents = counted.map(({ document, counts }) => ({
    document: document.id,
    title: document.title,
    ...finish(counts),
  }))
  const totals = finish(counted.reduce((sum, { counts }) => add(sum, counts), zero()))
  return { documents, totals: { documents: documents.length, ...totals }, skipped: corpus.skipped }
}

function count(document: Document): Counts {
  const counts = zero()
  counts.bytes = document.bytes
  counts.headings = document.headings.length
  for (const { kind } of document.links) counts[kind === 'link' ? 'links' : 'images']++
  for (const { kind, text } of document.blocks) {
    counts.characters += text.length
    if (kind === 'code') {
      counts.code_blocks++
      counts.codeCharacters += text.length
    } else counts.words += countWords(text)
  }
  return counts
}

function finish({ codeCharacters, characters, ...counts }: Counts): Stats {
  const { bytes, words, headings, links, images, code_blocks } = counts
  const reading_minutes = Math.round((words / WORDS_PER_MINUTE) * 10) / 10
  const code_share = characters === 0 ? 0 : Math.round((codeCharacters / characters) * 1000) / 1000
  return { bytes, words, reading_minutes, headings, links, images, code_blocks, code_share }
}

function add(a: Counts, b: Counts): Counts {
  const sum = zero()
  for (const key of Object.keys(sum) as Array<keyof Counts>) sum[key] = a[key] + b[key]
  return sum
}

function zero(): Counts {
  return { bytes: 0, words: 0, headings: 0, links: 0, images: 0, code_blocks: 0, codeCharacters: 0, characters: 0 }
}
