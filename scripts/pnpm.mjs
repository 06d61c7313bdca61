// Runs the pinned pnpm with the given arguments: `node scripts/pnpm.mjs run test:all`.
// npm and Node are all that it needs: npx fetches pnpm on the first call.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const root = new URL('../', import.meta.url)
const { devEngines } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'))

/** Runs pnpm and resolves to its exit code; SIGINT and SIGTERM end the whole group that it started. */
export function pnpm(...args) {
  const isWindows = process.platform === 'win32'
  const child = spawn('npx', ['--yes', `pnpm@${devEngines.packageManager.version}`, ...args], {
    cwd: root,
    stdio: 'inherit',
    shell: isWindows,
    detached: !isWindows,
    env: { TURBO_TELEMETRY_DISABLED: '1', ...process.env },
  })
  const forward = (signal) => {
    // npx forwards no signal, so the group is signalled: npx, pnpm and all below.
    try {
      process.kill(isWindows ? child.pid : -child.pid, signal)
    } catch {}
  }
  process.on('SIGINT', forward).on('SIGTERM', forward)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      process.off('SIGINT', forward).off('SIGTERM', forward)
      resolve(signal ? signal : code)
    })
  })
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const code = await pnpm(...process.argv.slice(2))
  process.exitCode = typeof code === 'number' ? code : 1
}
