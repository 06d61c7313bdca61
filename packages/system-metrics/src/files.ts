/**
 * The small text files in which the kernel shows its state.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import path from 'node:path'

/** Reads a file. Returns `undefined` if it does not exist, or if the kernel does not support what it stands for. */
export async function readText(...segments: string[]): Promise<string | undefined> {
  try {
    return (await readFile(path.join(...segments), 'utf8')).trim()
  } catch (error) {
    if (isMissing(error) || isUnsupported(error)) return undefined
    throw error
  }
}

/** Tells whether an error says that a file or folder does not exist. */
export function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENOTDIR'
}

/** The files of pressure exist, and cannot be read, in a kernel that was started without it. */
function isUnsupported(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'EOPNOTSUPP' || code === 'ENOTSUP' || code === 'ENODEV'
}

/** Returns the number of a key in a file of lines `key number`. */
export function parseKey(text: string | undefined, key: string): number | undefined {
  const number = new RegExp(`^${key} (\\d+)$`, 'm').exec(text ?? '')?.[1]
  return number === undefined ? undefined : Number(number)
}
