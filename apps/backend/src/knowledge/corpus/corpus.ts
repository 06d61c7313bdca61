/**
 * The corpus: the Markdown documents of one folder, read and parsed. It never leaves that folder. No name, link or
 * symbolic link makes it open or stat anything outside.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, open, readdir, realpath } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Document, parseDocument } from './document.ts'
import { type Folder, resolveInside } from './inside.ts'

/** The documents of one folder at one moment. Tools read it and never change it. */
export interface Corpus {
  /** Real path of the folder. */
  root: string
  /** SHA-256 in hex of the folder's listing, see {@link fingerprintCorpus}. */
  fingerprint: string
  /** Every document, sorted by id. */
  documents: Document[]
  /** The same documents by id. */
  byId: Map<string, Document>
  /** Files and folders that were left out, sorted by path. */
  skipped: Skipped[]
  /**
   * Returns what exists at a POSIX path relative to the folder. Uses the listing; hidden files and paths through
   * symbolic links cost one `lstat` per path segment. Symbolic links are followed one step at a time, and never out of
   * the folder.
   */
  locate(path: string): Promise<Place>
}

/** A file or folder that is not part of the corpus, and the reason. */
export interface Skipped {
  path: string
  reason: string
}

/** What exists at a path. `outside` does not reveal if the target exists. */
export type Place =
  | { kind: 'document'; document: Document }
  | { kind: 'file' | 'directory'; path: string }
  | { kind: 'missing' }
  | { kind: 'outside' }

/** Limits on what is read, so that any folder is safe to use. */
export interface CorpusLimits {
  /** A larger file is skipped. @default 16 MiB */
  maxFileBytes?: number | undefined
  /** Documents beyond this many, in the order of their ids, are skipped. @default 20000 */
  maxDocuments?: number | undefined
  /** Documents are skipped once those before them hold this many bytes together. @default 256 MiB */
  maxTotalBytes?: number | undefined
}

/** Limits, and the corpus that was loaded last. */
export interface LoadOptions extends CorpusLimits {
  /** Returned unchanged when the folder has not changed since. */
  latest?: Corpus | undefined
}

/** The folder itself cannot be read. */
export class CorpusError extends Error {
  readonly code = 'DOCS_UNREADABLE'
  readonly statusCode = 500

  constructor(docsDir: string, cause: unknown) {
    super(`Expected the documents folder to be a readable folder, got ${docsDir}: ${messageOf(cause)}`, { cause })
    this.name = 'CorpusError'
  }
}

interface ListedFile {
  id: string
  /** Relative to the root, symbolic links resolved. */
  realPath: string
  bytes: number
  modifiedMs: number
}

interface Listing {
  folder: Folder
  files: ListedFile[]
  skipped: Skipped[]
  /** Files and folders that are not hidden, symbolic links left out. */
  places: Map<string, 'file' | 'directory'>
  /** Symbolic links that are not hidden. */
  links: Set<string>
  fingerprint: string
}

const DOCUMENT_NAME = /\.(?:md|markdown)$/i
const MAX_LISTED_ENTRIES = 500_000
// Opening a fifo without a writer would block; a symbolic link made after the listing would be followed.
// Windows has neither flag.
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/**
 * Reads and parses the folder's Markdown documents. Documents that cannot be read, or exceed a limit, are listed in
 * `skipped`. Throws a {@link CorpusError} only when the folder itself cannot be read. Costs about 0.3 seconds of CPU
 * per megabyte of Markdown on a slow core.
 */
export async function loadCorpus(docsDir: string, options: LoadOptions = {}): Promise<Corpus> {
  const { maxFileBytes = 16 * 1024 * 1024, maxDocuments = 20_000, maxTotalBytes = 256 * 1024 * 1024, latest } = options
  const { folder, files, skipped, places, links, fingerprint } = await listFolder(docsDir)
  if (latest?.fingerprint === fingerprint && latest.root === folder.root) return latest

  const documents: Document[] = []
  const byId = new Map<string, Document>()
  let totalBytes = 0
  for (const file of files) {
    const bytesLeft = maxTotalBytes - totalBytes
    try {
      if (documents.length >= maxDocuments) throw new Error(`more than ${maxDocuments} documents`)
      const content = await readFile(join(folder.root, file.realPath), maxFileBytes, bytesLeft)
      totalBytes += content.length
      // TextDecoder puts U+FFFD in place of broken UTF-8 and removes the byte order mark.
      const document = parseDocument(file.id, new TextDecoder().decode(content), content.length)
      documents.push(document)
      byId.set(document.id, document)
    } catch (error) {
      skipped.push({ path: file.id, reason: messageOf(error) })
    }
  }
  skipped.sort(byPath)
  return { root: folder.root, fingerprint, documents, byId, skipped, locate }

  async function locate(path: string): Promise<Place> {
    const document = byId.get(path)
    if (document) return { kind: 'document', document }
    const segments = path.split('/')
    if (!segments.some((segment) => segment === '' || isHidden(segment)) && !passesLink(segments)) {
      const kind = places.get(path)
      return kind ? { kind, path } : { kind: 'missing' }
    }
    const resolved = await resolveInside(folder, path)
    if (resolved.kind !== 'inside') return resolved
    const real = byId.get(resolved.path)
    if (real) return { kind: 'document', document: real }
    // Without stats the path ended in `..` or in the root: a folder.
    return { kind: resolved.stats?.isDirectory() === false ? 'file' : 'directory', path: resolved.path }
  }

  function passesLink(segments: string[]): boolean {
    return links.size > 0 && segments.some((_, index) => links.has(segments.slice(0, index + 1).join('/')))
  }
}

/**
 * SHA-256 in hex of the folder's listing: path, size and modification time of each document, and the path of every
 * other file. It changes when a document or the set of files changes. Opens no file.
 */
export async function fingerprintCorpus(docsDir: string): Promise<string> {
  return (await listFolder(docsDir)).fingerprint
}

/**
 * Lists the folder. Each folder inside is visited once, by its real path. Symbolic links to folders are not followed:
 * the walk reaches their targets anyway, and cannot loop.
 */
async function listFolder(docsDir: string): Promise<Listing> {
  const folder = await openFolder(docsDir)
  const files: ListedFile[] = []
  const links = new Set<string>()
  const places = new Map<string, 'file' | 'directory'>()
  const others: string[] = []
  const skipped: Skipped[] = []
  const pending = ['']
  for (let listed = 0; pending.length > 0; ) {
    const directory = pending.pop()!
    const entries = await readdir(join(folder.root, directory), { withFileTypes: true }).catch((error) => {
      if (directory === '') throw new CorpusError(docsDir, error)
      skipped.push({ path: directory, reason: messageOf(error) })
      return []
    })
    for (const entry of entries) {
      if (isHidden(entry.name)) continue
      if (++listed > MAX_LISTED_ENTRIES) throw new CorpusError(docsDir, `more than ${MAX_LISTED_ENTRIES} files`)
      const path = directory === '' ? entry.name : `${directory}/${entry.name}`
      if (entry.isSymbolicLink()) {
        links.add(path)
        continue
      }
      places.set(path, entry.isDirectory() ? 'directory' : 'file')
      if (entry.isDirectory()) pending.push(path)
      else if (!DOCUMENT_NAME.test(path)) others.push(path)
      else if (!entry.isFile()) skipped.push({ path, reason: 'not a regular file' })
      else {
        const stats = await lstat(join(folder.root, path)).catch(
          (error) => void skipped.push({ path, reason: messageOf(error) }),
        )
        if (stats) files.push({ id: path, realPath: path, bytes: stats.size, modifiedMs: stats.mtimeMs })
      }
    }
  }
  await addLinkedFiles()
  files.sort((a, b) => compare(a.id, b.id))
  others.sort(compare)
  return { folder, files, skipped, places, links, fingerprint: hash() }

  /**
   * Adds symbolic links that give a Markdown name to a file without one. Targets with a Markdown name are listed
   * already.
   */
  async function addLinkedFiles(): Promise<void> {
    const realPaths = new Set<string>()
    for (const path of [...links].sort(compare)) {
      const resolved = await resolveInside(folder, path)
      if (resolved.kind === 'outside') skipped.push({ path, reason: 'symbolic link out of the folder' })
      else if (resolved.kind === 'missing') skipped.push({ path, reason: 'symbolic link to nothing' })
      else others.push(`${path} -> ${resolved.path}`)
      if (resolved.kind !== 'inside' || !resolved.stats?.isFile() || resolved.path.split('/').some(isHidden)) continue
      if (!DOCUMENT_NAME.test(path) || DOCUMENT_NAME.test(resolved.path) || realPaths.has(resolved.path)) continue
      realPaths.add(resolved.path)
      const { size, mtimeMs } = resolved.stats
      files.push({ id: path, realPath: resolved.path, bytes: size, modifiedMs: mtimeMs })
    }
  }

  function hash(): string {
    const sha256 = createHash('sha256')
    for (const { id, bytes, modifiedMs } of files) sha256.update(`${id}\0${bytes}\0${modifiedMs}\n`)
    for (const path of others) sha256.update(`${path}\n`)
    return sha256.digest('hex')
  }
}

async function openFolder(docsDir: string): Promise<Folder> {
  try {
    return { given: resolve(docsDir), root: await realpath(docsDir) }
  } catch (error) {
    throw new CorpusError(docsDir, error)
  }
}

async function readFile(path: string, maxFileBytes: number, bytesLeft: number): Promise<Buffer> {
  const handle = await open(path, OPEN_FLAGS)
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw new Error('not a regular file')
    if (stats.size > maxFileBytes) throw new Error(`larger than ${maxFileBytes} bytes`)
    if (stats.size > bytesLeft) throw new Error('the documents before it fill the limit of the corpus')
    const content = Buffer.alloc(stats.size)
    let length = 0
    while (length < content.length) {
      const { bytesRead } = await handle.read(content, length, content.length - length, length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    return content.subarray(0, length)
  } finally {
    await handle.close()
  }
}

function isHidden(name: string): boolean {
  return name.startsWith('.') || name === 'node_modules'
}

/** Orders by UTF-16 code units: the same everywhere, whatever the locale. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function byPath(a: Skipped, b: Skipped): number {
  return compare(a.path, b.path)
}

/** Returns only the system's error code where there is one: its message would reveal the absolute path. */
function messageOf(error: unknown): string {
  const { code, message } = (error ?? {}) as NodeJS.ErrnoException
  return code ?? message ?? String(error)
}
