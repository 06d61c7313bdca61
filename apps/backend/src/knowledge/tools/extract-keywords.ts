/**
 * `extract_keywords`: the words that distinguish a document from the others.
 *
 * @module
 */
import type { FromSchema } from 'json-schema-to-ts'
import { type Corpus, compare } from '../corpus/corpus.ts'
import type { Document } from '../corpus/document.ts'
import { invalidParameter } from './errors.ts'
import type { Tool } from './tool.ts'
import { STOP_WORDS, termsOf } from './words.ts'

/** What `extract_keywords` answers. Keywords of equal score are sorted by term. */
export interface KeywordsResult {
  documents: Array<{ document: string; keywords: Keyword[] }>
}

interface Keyword {
  term: string
  /** Occurrences in the document. */
  count: number
  /** TF-IDF, rounded to six decimal places. */
  score: number
}

const parameters = {
  type: 'object',
  properties: {
    limit: { type: 'integer', default: 10, minimum: 1, maximum: 100, description: 'Keywords for each document.' },
    document: {
      type: 'string',
      minLength: 1,
      maxLength: 1024,
      description: 'Path of one document, as build_graph lists it; all documents when absent.',
    },
  },
  additionalProperties: false,
} as const

/**
 * Score of a term t in a document d: tf · idf, where tf = count of t in d / count of all terms in d, and idf = ln((1 +
 * N) / (1 + df)) + 1 with N documents, df of which hold t; smoothed as scikit-learn's `TfidfTransformer`, so that a
 * term that is everywhere still counts. Terms are words of prose (no code blocks) of three characters and more that are
 * neither numbers nor stop words.
 */
export const tool: Tool = {
  name: 'extract_keywords',
  description: 'The keywords of each document, or of one, by TF-IDF.',
  parameters,
  run,
}

function run(corpus: Corpus, { limit = 10, document: id }: FromSchema<typeof parameters>): KeywordsResult {
  if (id !== undefined && !corpus.byId.has(id)) throw invalidParameter('document', 'be the path of a document', id)

  const frequencies = new Map<string, number>()
  const wanted: Array<{ document: Document; counts: Map<string, number> }> = []
  for (const document of corpus.documents) {
    const counts = countTerms(document)
    for (const term of counts.keys()) frequencies.set(term, (frequencies.get(term) ?? 0) + 1)
    if (id === undefined || document.id === id) wanted.push({ document, counts })
  }

  const documents = wanted.map(({ document, counts }) => ({ document: document.id, keywords: rank(counts) }))
  return { documents }

  function rank(counts: Map<string, number>): Keyword[] {
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
    const keywords = [...counts].map(([term, count]) => {
      const idf = Math.log((1 + corpus.documents.length) / (1 + frequencies.get(term)!)) + 1
      return { term, count, score: Math.round((count / total) * idf * 1e6) / 1e6 }
    })
    return keywords.sort((a, b) => b.score - a.score || compare(a.term, b.term)).slice(0, limit)
  }
}

function countTerms(document: Document): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { kind, text } of document.blocks) {
    if (kind === 'code') continue
    for (const term of termsOf(text)) {
      if (term.length < 3 || STOP_WORDS.has(term) || /^[\d_'-]+$/.test(term)) continue
      counts.set(term, (counts.get(term) ?? 0) + 1)
    }
  }
  return counts
}
