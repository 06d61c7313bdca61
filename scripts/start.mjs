// One command on a fresh clone: installs, builds, then serves in this very process.
import { pnpm } from './pnpm.mjs'

// The script in package.json says `exec`, so that npm's signals come here and not to a shell. Where npm is killed,
// nobody tells: so look.
const { ppid } = process
if (process.env.npm_lifecycle_event === 'start') {
  setInterval(() => process.ppid !== ppid && process.kill(process.pid, 'SIGTERM'), 200).unref()
}

console.log('Installing what is missing and building …')
const code = await pnpm('--silent', 'run', 'build')
// Stopped by a signal while it was building: that is no failure.
if (typeof code === 'string') process.exit(0)
if (code !== 0) process.exit(code)

// While the server loads it has no handlers of its own yet.
const exit = () => process.exit(0)
process.on('SIGINT', exit).on('SIGTERM', exit)
await import('../apps/backend/dist/server.js')
process.off('SIGINT', exit).off('SIGTERM', exit)
