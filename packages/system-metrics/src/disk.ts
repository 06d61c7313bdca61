/**
 * Usage of the file system that holds a path.
 *
 * @module
 */
import { statfs } from 'node:fs/promises'
import { InvalidOptionError } from '@data20/metrics-core/plugin'
import { isMissing } from './cgroup.ts'
import type { Instruments } from './instruments.ts'
import type { Read } from './sampler.ts'
import { percentOf, show } from './values.ts'

/** Makes the reading of the file system. */
export function diskReading({ diskPercent, diskUsed, diskTotal }: Instruments, path: string): Read {
  return async () => {
    const { bsize, blocks, bfree, bavail } = await statfs(path)
    const used = blocks - bfree
    diskUsed.set(used * bsize)
    diskTotal.set(blocks * bsize)
    // A file system without blocks, such as /proc, is neither empty nor full.
    show(diskPercent, blocks > 0 ? percentOf(used, used + bavail) : undefined)
  }
}

/**
 * Throws `InvalidOptionError` for a path that does not exist. Any other failure is a state of the machine, not a
 * mistake in the options: the collector reports it.
 */
export async function checkPath(path: string): Promise<void> {
  try {
    await statfs(path)
  } catch (error) {
    if (isMissing(error)) throw new InvalidOptionError('path', 'a path that exists', path)
  }
}
