/**
 * Usage of the file system that holds a path.
 *
 * @module
 */
import { statfs } from 'node:fs/promises'
import { InvalidOptionError } from '@data20/metrics-core/plugin'
import { isMissing } from './files.ts'
import { createFragmentSize } from './fragment.ts'
import type { Instruments } from './instruments.ts'
import type { Read } from './sampler.ts'
import { percentOf, show } from './values.ts'

/** Makes the reading of the file system. */
export function diskReading({ diskPercent, diskUsed, diskTotal, diskInodes }: Instruments, path: string): Read {
  const fragmentSizeOf = createFragmentSize(path)
  return async () => {
    const fileSystem = await statfs(path)
    const { blocks, bfree, bavail, files, ffree } = fileSystem
    const used = blocks - bfree
    // A file system without blocks, such as /proc, is neither empty nor full. The percent needs no fragment size.
    show(diskPercent, used + bavail > 0 ? percentOf(used, used + bavail) : undefined)
    // Btrfs, FAT and network file systems without a fixed number of inodes say 0.
    show(diskInodes, files > 0 && ffree <= files ? percentOf(files - ffree, files) : undefined)
    const fragmentSize = blocks === 0 ? 0 : await fragmentSizeOf(fileSystem)
    show(diskUsed, fragmentSize === undefined ? undefined : used * fragmentSize)
    show(diskTotal, fragmentSize === undefined ? undefined : blocks * fragmentSize)
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
