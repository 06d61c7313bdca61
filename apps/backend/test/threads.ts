/**
 * Threads of the backend run its JavaScript without the loaders that tap gives each thread for TypeScript, as outside
 * of tests. On Node 20 the loaders take more of a start than all the rest.
 */
import workerThreads, { Worker, type WorkerOptions } from 'node:worker_threads'

Object.assign(workerThreads, {
  Worker: class extends Worker {
    constructor(file: string | URL, options?: WorkerOptions) {
      super(file, { ...options, execArgv: [] })
    }
  },
})
