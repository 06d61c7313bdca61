/**
 * Temporary folders that are deleted with the test or service that uses them.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The part of a test that cleans up. */
export interface TearDown {
  teardown(clean: () => unknown): unknown
}

/**
 * Creates a folder that the test's teardown deletes. Teardowns run in reverse order, so a server that the test starts on the
 * folder has ended by then.
 */
export function temporaryFolder(t: TearDown, name: string): string {
  const { directory, dispose } = temporaryDirectory(name)
  t.teardown(dispose)
  return directory
}

/** Creates a folder for data, and returns it with the function that deletes it. */
export function temporaryDirectory(name: string): { directory: string; dispose(): void } {
  const directory = mkdtempSync(join(tmpdir(), `data20-${name}-`))
  return { directory, dispose: () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }) }
}
