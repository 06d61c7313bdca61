/**
 * What piscina loads into a thread. Piscina tries `require` first. On Node.js 20 a thread that is terminated while
 * `require` instantiates an ES module aborts the whole process (`v8::Module::IsGraphAsync must be used on an
 * instantiated module`); `import()` has no such moment.
 *
 * @module
 */
type Thread = typeof import('./thread.ts', { with: { 'resolution-mode': 'import' }})
type RunTool = Thread['default']

const thread: Promise<Thread> = import('./thread.ts')
// Whoever runs a task gets the error.
thread.catch(() => {})

const runTool: RunTool = async (task) => {
  const { default: run } = await thread
  return run(task)
}

module.exports = runTool
