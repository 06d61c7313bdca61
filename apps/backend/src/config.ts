/**
 * The configuration: environment variables, checked once at the start.
 *
 * @module
 */
import { accessSync, constants, statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { envSchema } from 'env-schema'
import type { FromSchema } from 'json-schema-to-ts'
import { ConfigError } from './errors.ts'

const schema = {
  type: 'object',
  properties: {
    PORT: {
      type: 'integer',
      default: 8001,
      minimum: 0,
      maximum: 65_535,
      description: 'Port to listen on. 0: any free one.',
    },
    HOST: { type: 'string', default: '127.0.0.1', minLength: 1, description: 'Address to listen on.' },
    DOCS_DIR: {
      type: 'string',
      default: '',
      description: "Folder of Markdown documents. Default: the installed Fastify's documentation.",
    },
    DATA_DIR: { type: 'string', default: '.data', minLength: 1, description: 'Folder for the data of the backend.' },
    DATABASE_URL: {
      type: 'string',
      default: '',
      description:
        'PostgreSQL for the runs and their queue. Default: the backend starts one, with its data in DATA_DIR.',
    },
    REDIS_URL: {
      type: 'string',
      default: '',
      description: 'Redis for the queue. Default: the queue is in PostgreSQL.',
    },
    LOG_LEVEL: { enum: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], default: 'info' },
    TOOL_TIMEOUT_MS: {
      type: 'integer',
      default: 600_000,
      minimum: 1,
      maximum: 2_147_483_647,
      description: 'Time limit of an inline run, and of each attempt of a queued run.',
    },
    MAX_CONCURRENT_RUNS: {
      type: 'integer',
      default: 4,
      minimum: 1,
      description: 'Inline runs that execute at the same time. Further ones get 503.',
    },
    MAX_WORKER_THREADS: {
      type: 'integer',
      default: 2,
      minimum: 1,
      maximum: 64,
      description: 'Threads that execute inline runs.',
    },
    WORKERS: {
      type: 'integer',
      default: 1,
      minimum: 0,
      maximum: 1,
      description: '1: the backend executes queued runs itself. 0: it leaves them to worker processes.',
    },
    WORKER_CONCURRENCY: {
      type: 'integer',
      default: 2,
      minimum: 1,
      maximum: 64,
      description: 'Queued runs that one process executes at the same time, each on its own thread.',
    },
    WORKER_LOCK_MS: {
      type: 'integer',
      default: 10_000,
      minimum: 1000,
      description: 'Another process takes over the runs of a killed one after this time and up to half of it more.',
    },
    METRICS_PORT: {
      type: 'integer',
      default: 8002,
      minimum: 0,
      maximum: 65_535,
      description: 'Port of a worker process for /metrics and /health; 0 for none. If 8002 is taken, a free one.',
    },
    CLOSE_GRACE_MS: {
      type: 'integer',
      default: 1500,
      minimum: 0,
      maximum: 3_600_000,
      description: 'Time that queued runs have to finish when the process is stopped. Then they go back to the queue.',
    },
    QUEUE_NAME: {
      type: 'string',
      default: 'runs',
      pattern: '^[\\w-]{1,50}$',
      description: 'Name of the queue: backends that share a Redis and no database need different ones.',
    },
    QUEUE_ATTEMPTS: {
      type: 'integer',
      default: 3,
      minimum: 1,
      maximum: 100,
      description: 'Attempts of a queued run before it fails for good.',
    },
    QUEUE_BACKOFF_MS: {
      type: 'integer',
      default: 1000,
      minimum: 0,
      maximum: 3_600_000,
      description: 'Delay before the second attempt. It doubles with each further attempt.',
    },
    RECONCILE_MS: {
      type: 'integer',
      default: 5000,
      minimum: 100,
      maximum: 3_600_000,
      description: 'Interval of the search for accepted runs that are missing in the queue.',
    },
    MAX_JOB_BYTES: {
      type: 'integer',
      default: 65_536,
      minimum: 1,
      description: 'Maximum size in bytes of the parameters of a queued run as JSON. Larger ones get 413.',
    },
    MAX_RESULT_BYTES: {
      type: 'integer',
      default: 8_388_608,
      minimum: 1,
      // A field of PostgreSQL holds 1 GB, a string of V8 half of that.
      maximum: 268_435_456,
      description: 'Maximum size in bytes of a stored result as JSON. A queued run with a larger one fails.',
    },
    HISTORY_DAYS: {
      type: 'integer',
      default: 30,
      minimum: 1,
      maximum: 36_500,
      description: 'Days that a run is kept after its end.',
    },
    CACHE_MAX_BYTES: {
      type: 'integer',
      default: 67_108_864,
      minimum: 0,
      description: 'Maximum size in bytes of the cache of results in memory, which answers inline runs. 0 disables it.',
    },
    BODY_LIMIT: {
      type: 'integer',
      default: 1_048_576,
      minimum: 1,
      description: 'Maximum size in bytes of a request body.',
    },
    METRICS_TOKEN: {
      type: 'string',
      default: '',
      description: 'Bearer token that GET /metrics requires. Empty: none.',
    },
  },
} as const

/** The complete configuration of one process. */
export type Config = FromSchema<typeof schema>

/** Reads and checks the configuration. Throws a {@link ConfigError}. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const given = Object.fromEntries(
    Object.entries(env).filter(([name, value]) => name in schema.properties && value !== ''),
  )
  const config = check(given)
  config.DOCS_DIR = path.resolve(config.DOCS_DIR || fastifyDocumentation())
  // Relative to the folder where the command was typed: `pnpm --filter` runs scripts in the folder of the package.
  config.DATA_DIR = path.resolve(env.INIT_CWD ?? '', config.DATA_DIR)
  checkFolder('DOCS_DIR', config.DOCS_DIR)
  checkUrl('DATABASE_URL', config.DATABASE_URL, ['postgres:', 'postgresql:'])
  checkUrl('REDIS_URL', config.REDIS_URL, ['redis:', 'rediss:'])
  return config
}

function check(data: Record<string, unknown>): Config {
  try {
    return envSchema<Config>({ schema, data, env: false, dotenv: false })
  } catch (error) {
    const { errors } = error as {
      errors?: Array<{ instancePath: string; message: string; params: { allowedValues?: string[] } }>
    }
    const [first] = errors ?? []
    if (first === undefined) throw error
    const name = first.instancePath.slice(1)
    const allowed = first.params.allowedValues ? `: ${first.params.allowedValues.join(', ')}` : ''
    throw new ConfigError(`${name} ${first.message}${allowed}, got "${data[name]}"`, { cause: error })
  }
}

function checkFolder(name: string, folder: string): void {
  try {
    if (!statSync(folder).isDirectory()) throw new Error('not a folder')
    accessSync(folder, constants.R_OK | constants.X_OK)
  } catch (error) {
    throw new ConfigError(`${name} must be a folder that can be read, got "${folder}" (${(error as Error).message})`, {
      cause: error,
    })
  }
}

function checkUrl(name: string, url: string, protocols: string[]): void {
  if (url === '' || (URL.canParse(url) && protocols.includes(new URL(url).protocol))) return
  // Without the value, which may hold a password.
  throw new ConfigError(`${name} must be an address that starts with ${protocols.join('// or ')}//`)
}

function fastifyDocumentation(): string {
  return path.join(path.dirname(fileURLToPath(import.meta.resolve('fastify/package.json'))), 'docs')
}
