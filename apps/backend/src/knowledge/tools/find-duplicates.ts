/**
 * `find_duplicates`: passages that occur, equal or nearly equal, in several documents.
 *
 * @module
 */
import type { FromSchema } from 'json-schema-to-ts'
import type { Corpus } from '../corpus/corpus.ts'
import type { Tool } from './tool.ts'
import { termsOf, toOneLine } from './words.ts'

/** What `find_duplicates` answers. */
export interface DuplicatesResult {
  /** Passages that were compared: paragraphs, table rows and code blocks of eight words and more. */
  passages: number
  /** Largest first. */
  groups: DuplicateGroup[]
  totals: { groups: number; passages: number }
  /** Groups beyond 200, or passages of a group beyond 50, are left out of the lists. The totals count all. */
  truncated: boolean
}

interface DuplicateGroup {
  /**
   * The smallest Jaccard similarity by which a passage joined the group, `threshold` to 1. Each passage is as similar
   * as the threshold to at least one other of the group, not to each.
   */
  similarity: number
  /** Passages in the group. */
  count: number
  /** In the order of the documents. */
  passages: Array<{ document: string; line: number; text: string }>
}

/** A passage with every place in which it occurs word for word. */
interface Passage {
  places: Array<{ document: string; line: number; text: string }>
  shingles: Uint32Array
}

const MIN_WORDS = 8
const SHINGLE_WORDS = 3
const SIGNATURE_LENGTH = 128
const MAX_GROUPS = 200
const MAX_LISTED_PASSAGES = 50
const MAX_TEXT_CHARACTERS = 200
// A bucket of thousands of alike passages costs this many comparisons for each instead of thousands.
const MAX_COMPARED = 64
// Two passages that are as similar as the threshold are missed once in a thousand times.
const MAX_MISS_PROBABILITY = 0.001

const parameters = {
  type: 'object',
  properties: {
    threshold: {
      type: 'number',
      default: 0.8,
      minimum: 0,
      maximum: 1,
      description:
        'Jaccard similarity, 0 to 1, from which two passages count as duplicates. Passages with nothing in common never do.',
    },
  },
  additionalProperties: false,
} as const

/**
 * Passages are compared as sets of shingles (three words in a row) by Jaccard similarity: |A ∩ B| / |A ∪ B|. MinHash
 * signatures cut into bands find the pairs worth comparing, each of which is then verified on the shingles: A. Broder,
 * “On the resemblance and containment of documents”, 1997; J. Leskovec, A. Rajaraman and J. Ullman, “Mining of Massive
 * Datasets”, chapter 3. Equal texts are one passage from the start. The time is in proportion to the text, also when
 * thousands of passages are alike.
 */
export const tool: Tool = {
  name: 'find_duplicates',
  description: 'Near-duplicate passages across documents, by shingles and MinHash.',
  parameters,
  run,
}

function run(corpus: Corpus, { threshold }: Required<FromSchema<typeof parameters>>): DuplicatesResult {
  const passages = collectPassages(corpus)
  const groups = group(passages, threshold)
    .map(({ members, similarity }) => ({ similarity, places: members.flatMap((member) => passages[member]!.places) }))
    .filter(({ places }) => places.some(({ document }) => document !== places[0]!.document))
    // The sort is stable: groups of one size stay in the order of the documents.
    .sort((a, b) => b.places.length - a.places.length)
  const listed = groups.slice(0, MAX_GROUPS).map(({ similarity, places }) => ({
    similarity: Math.round(similarity * 1000) / 1000,
    count: places.length,
    passages: places.slice(0, MAX_LISTED_PASSAGES).map(({ text, ...place }) => ({ ...place, text: shorten(text) })),
  }))
  return {
    passages: passages.reduce((sum, { places }) => sum + places.length, 0),
    groups: listed,
    totals: { groups: groups.length, passages: groups.reduce((sum, { places }) => sum + places.length, 0) },
    truncated: groups.length > MAX_GROUPS || listed.some(({ count, passages }) => count > passages.length),
  }
}

function collectPassages(corpus: Corpus): Passage[] {
  const passages = new Map<string, Passage>()
  for (const document of corpus.documents) {
    for (const { kind, text, line } of document.blocks) {
      if (kind === 'heading') continue
      const words = [...termsOf(text)]
      if (words.length < MIN_WORDS) continue
      const key = words.join(' ')
      const place = { document: document.id, line, text }
      const passage = passages.get(key)
      if (passage) passage.places.push(place)
      else passages.set(key, { places: [place], shingles: shinglesOf(words) })
    }
  }
  return [...passages.values()]
}

/** The distinct shingles as sorted 32-bit hashes. Two shingles of a passage collide once in 4 billion pairs. */
function shinglesOf(words: string[]): Uint32Array {
  const hashes = words.map(hashWord)
  const shingles = new Set<number>()
  for (let start = 0; start + SHINGLE_WORDS <= hashes.length; start++) {
    let shingle = 0
    for (let offset = 0; offset < SHINGLE_WORDS; offset++) shingle = mix(shingle ^ hashes[start + offset]!)
    shingles.add(shingle)
  }
  return Uint32Array.from(shingles).sort()
}

/** Groups are the connected components of the pairs that are similar enough, in the order of their first members. */
function group(passages: Passage[], threshold: number): Array<{ members: number[]; similarity: number }> {
  const parents = passages.map((_, position) => position)
  const similarities = new Float64Array(passages.length).fill(1)
  const rows = rowsOf(threshold)
  const buckets = Array.from({ length: Math.floor(SIGNATURE_LENGTH / rows) }, () => new Map<number, number[]>())
  const signature = new Uint32Array(SIGNATURE_LENGTH)
  for (const [position, passage] of passages.entries()) {
    sign(passage.shingles, signature)
    const compared = new Set<number>()
    for (const [band, bucketsOfBand] of buckets.entries()) {
      const key = signature
        .subarray(band * rows, (band + 1) * rows)
        .reduce((hash, minimum) => mix(hash ^ minimum), band)
      const bucket = bucketsOfBand.get(key)
      if (!bucket) {
        bucketsOfBand.set(key, [position])
        continue
      }
      for (const other of bucket.slice(-MAX_COMPARED)) {
        if (compared.size >= MAX_COMPARED * 4) break
        if (compared.has(other)) continue
        compared.add(other)
        if (find(other) !== find(position)) join(position, other)
      }
      bucket.push(position)
    }
  }

  const groups = new Map<number, number[]>()
  for (const position of passages.keys()) {
    const root = find(position)
    const members = groups.get(root)
    if (members) members.push(position)
    else groups.set(root, [position])
  }
  return [...groups].map(([root, members]) => ({ members, similarity: similarities[root]! }))

  function join(a: number, b: number): void {
    const similarity = jaccard(passages[a]!.shingles, passages[b]!.shingles)
    if (similarity < threshold || similarity === 0) return
    const [first, second] = [Math.min(find(a), find(b)), Math.max(find(a), find(b))]
    parents[second] = first
    similarities[first] = Math.min(similarities[first]!, similarities[second]!, similarity)
  }

  function find(position: number): number {
    let root = position
    while (parents[root] !== root) {
      // Halving the path keeps the next look-up short.
      parents[root] = parents[parents[root]!]!
      root = parents[root]!
    }
    return root
  }
}

/**
 * Rows of a band: as many as find the pairs at the threshold. With r rows in each of b bands, a pair of similarity s
 * falls into one bucket at least once with the probability 1 − (1 − s^r)^b.
 */
function rowsOf(threshold: number): number {
  const candidates = [32, 16, 8, 4, 2]
  const isEnough = (rows: number): boolean =>
    (1 - threshold ** rows) ** (SIGNATURE_LENGTH / rows) <= MAX_MISS_PROBABILITY
  return candidates.find(isEnough) ?? 1
}

/** MinHash: for each of 128 hash functions, the smallest hash of the shingles. */
function sign(shingles: Uint32Array, signature: Uint32Array): void {
  signature.fill(0xffffffff)
  for (const shingle of shingles) {
    for (let index = 0; index < SIGNATURE_LENGTH; index++) {
      // The hash functions are one mixer started from 128 fixed points, so that each run answers the same.
      const hash = mix(shingle ^ Math.imul(index + 1, 0x9e3779b1))
      if (hash < signature[index]!) signature[index] = hash
    }
  }
}

function jaccard(a: Uint32Array, b: Uint32Array): number {
  let common = 0
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const difference = a[i]! - b[j]!
    if (difference === 0) common++
    if (difference <= 0) i++
    if (difference >= 0) j++
  }
  return common / (a.length + b.length - common)
}

/** FNV-1a, 32 bits, over UTF-16 code units. */
function hashWord(word: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < word.length; index++) hash = Math.imul(hash ^ word.charCodeAt(index), 0x01000193)
  return hash >>> 0
}

/** The finalizer of MurmurHash3, 32 bits: every bit of the input moves every bit of the output. */
function mix(hash: number): number {
  let mixed = hash ^ (hash >>> 16)
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

function shorten(text: string): string {
  const line = toOneLine(text.slice(0, MAX_TEXT_CHARACTERS))
  return text.length > MAX_TEXT_CHARACTERS ? `${line}…` : line
}
