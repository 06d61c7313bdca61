// One command on a fresh clone: installs, builds, then serves in this very process.
import { pnpm } from './pnpm.mjs'

// npm hands a signal to its shell only, and some shells end without telling: then this process is told here.
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
