/**
 * `build_graph`: the link graph of the documents.
 *
 * @module
 */
import { type Corpus, compare } from '../corpus/corpus.ts'
import { resolveLink } from '../corpus/link.ts'
import type { Tool } from './tool.ts'

/** What `build_graph` answers. */
export interface GraphResult {
  /** Every document, sorted by id. */
  nodes: GraphNode[]
  /** Sorted by source, then target. Links from a document to itself are left out. */
  edges: Array<{ source: string; target: string; count: number }>
  /** Documents to which no other document links. */
  orphans: string[]
  totals: { nodes: number; edges: number; links: number; orphans: number }
}

interface GraphNode {
  id: string
  title: string
  /** Other documents that link to it. */
  inbound: number
  /** Other documents to which it links. */
  outbound: number
  /** PageRank; the ranks of all documents sum to 1. */
  rank: number
}

const DAMPING = 0.85
const RANK_TOLERANCE = 1e-10
const MAX_ITERATIONS = 200

const parameters = { type: 'object', properties: {}, additionalProperties: false } as const

/** Images are not edges. A link to a heading counts as a link to its document. */
export const tool: Tool = {
  name: 'build_graph',
  description: 'The link graph of the documents: nodes, edges, orphans and PageRank.',
  parameters,
  run,
}

async function run(corpus: Corpus): Promise<GraphResult> {
  const index = new Map(corpus.documents.map((document, position) => [document.id, position]))
  const targets = await countTargets(corpus)
  const successors = targets.map((counts) => [...counts.keys()].map((id) => index.get(id)!))
  const ranks = pageRank(successors)
  const inbound = new Uint32Array(successors.length)
  for (const positions of successors) for (const position of positions) inbound[position]!++

  const nodes = corpus.documents.map(({ id, title }, position) => ({
    id,
    title,
    inbound: inbound[position]!,
    outbound: successors[position]!.length,
    rank: ranks[position]!,
  }))
  const edges = corpus.documents.flatMap(({ id: source }, position) =>
    [...targets[position]!]
      .map(([target, count]) => ({ source, target, count }))
      .sort((a, b) => compare(a.target, b.target)),
  )
  const orphans = nodes.filter((node) => node.inbound === 0).map((node) => node.id)
  const links = edges.reduce((sum, edge) => sum + edge.count, 0)
  return { nodes, edges, orphans, totals: { nodes: nodes.length, edges: edges.length, links, orphans: orphans.length } }
}

/** For each document, how many of its links lead to each other document. */
async function countTargets(corpus: Corpus): Promise<Array<Map<string, number>>> {
  const targets: Array<Map<string, number>> = []
  for (const document of corpus.documents) {
    const counts = new Map<string, number>()
    for (const link of document.links) {
      if (link.kind !== 'link') continue
      const target = await resolveLink(corpus, document, link)
      if (target.kind !== 'document' || target.document === document) continue
      counts.set(target.document.id, (counts.get(target.document.id) ?? 0) + 1)
    }
    targets.push(counts)
  }
  return targets
}

/**
 * PageRank by power iteration: rank(p) = (1 − d) / N + d · (Σ rank(q) / outbound(q) over all q that link to p +
 * dangling / N), with d = 0.85. S. Brin and L. Page, “The Anatomy of a Large-Scale Hypertextual Web Search Engine”,
 * 1998. The rank of documents without links (dangling) goes to all documents in equal parts: A. Langville and C. Meyer,
 * “Deeper Inside PageRank”, 2004, section 3. Several links to one document count once.
 */
function pageRank(successors: number[][]): Float64Array {
  const count = successors.length
  let ranks = new Float64Array(count).fill(1 / count)
  for (let iteration = 0; iteration < MAX_ITERATIONS; iteration++) {
    let dangling = 0
    const received = new Float64Array(count)
    for (const [position, targets] of successors.entries()) {
      if (targets.length === 0) dangling += ranks[position]!
      for (const target of targets) received[target]! += ranks[position]! / targets.length
    }
    const base = (1 - DAMPING) / count + (DAMPING * dangling) / count
    const next = received.map((rank) => base + DAMPING * rank)
    const change = next.reduce((sum, rank, position) => sum + Math.abs(rank - ranks[position]!), 0)
    ranks = next
    if (change < RANK_TOLERANCE) break
  }
  return ranks
}
