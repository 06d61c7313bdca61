/**
 * The size of the fragments in which `statfs` counts blocks. POSIX counts them in `f_frsize`, but before version 24.21
 * Node.js shows `f_bsize` only, the preferred size of a transfer. Most file systems have one size for both; virtiofs
 * and other file systems in user space have not.
 *
 * @module
 */
import { execFile } from 'node:child_process'
import type { StatsFs } from 'node:fs'

/** What `statfs` says of a file system. `frsize` is absent before Node.js 24.21. */
export type FileSystem = Pick<StatsFs, 'type' | 'bsize'> & { frsize?: number }

/** Asks the system for the fragment size at a path. Resolves to `undefined` where the system cannot say. */
export type AskFragmentSize = (path: string) => Promise<number | undefined>

/** Magic numbers of the file systems whose kernel code has one size for both: see statfs(2). */
const ONE_SIZE_TYPES = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0xf2f52010, // F2FS
  0x01021994, // tmpfs
])
/** Passes the numbers of its upper file system on. */
const OVERLAY_TYPE = 0x794c7630
/** File systems below an overlay whose sizes differ prefer larger transfers than a page. */
const PAGE_BYTES = 4096
const STAT_TIMEOUT_MS = 5000

/**
 * Makes the function that returns the fragment size of the file system at `path`. It asks the system once for each file
 * system that it meets there, and only where `statfs` does not tell.
 */
export function createFragmentSize(
  path: string,
  ask: AskFragmentSize = askStat,
): (fileSystem: FileSystem) => Promise<number | undefined> {
  let asked: { type: number; bsize: number; answer: Promise<number | undefined> } | undefined

  return async ({ type, bsize, frsize }) => {
    if (frsize !== undefined) return frsize
    // On macOS, FreeBSD and Windows libuv puts the size of a counted block into `bsize`.
    if (process.platform !== 'linux' || hasOneSize(type, bsize)) return bsize
    // Another file system can be mounted at the path at any time.
    if (asked?.type !== type || asked.bsize !== bsize) asked = { type, bsize, answer: ask(path) }
    return asked.answer
  }
}

function hasOneSize(type: number, bsize: number): boolean {
  // libuv returns the number as signed on some processors.
  const unsigned = type >>> 0
  return ONE_SIZE_TYPES.has(unsigned) || (unsigned === OVERLAY_TYPE && bsize <= PAGE_BYTES)
}

/** Runs `stat` of coreutils or BusyBox. An image without a shell often has neither. */
export function askStat(path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const options = { timeout: STAT_TIMEOUT_MS, killSignal: 'SIGKILL' } as const
    execFile('stat', ['-f', '-c', '%S', '--', path], options, (error, stdout) => {
      const size = Number(stdout)
      resolve(error === null && size > 0 ? size : undefined)
    })
  })
}
