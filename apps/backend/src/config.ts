/**
 * The configuration: environment variables, checked once at the start.
 *
 * @module
 */
import { accessSync, constants, statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { envSchema } from 'env-schema'
import { type Static, Type } from 'typebox'

const schema = Type.Object({
  PORT: Type.Integer({
    default: 8001,
    minimum: 0,
    maximum: 65_535,
    description: 'Port to listen on; 0 for any free one.',
  }),
  HOST: Type.String({ default: '127.0.0.1', minLength: 1, description: 'Address to listen on.' }),
  DOCS_DIR: Type.String({
    default: '',
    description: "Folder of Markdown documents. Default: the installed Fastify's documentation.",
  }),
  DATA_DIR: Type.String({ default: '.data', minLength: 1, description: 'Folder for what the backend keeps.' }),
  LOG_LEVEL: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], { default: 'info' }),
  TOOL_TIMEOUT_MS: Type.Integer({
    default: 600_000,
    minimum: 1,
    maximum: 2_147_483_647,
    description: 'Time limit of one run.',
  }),
  MAX_CONCURRENT_RUNS: Type.Integer({
    default: 4,
    minimum: 1,
    description: 'Runs at the same time; further ones get 503.',
  }),
  MAX_WORKER_THREADS: Type.Integer({ default: 2, minimum: 1, maximum: 64, description: 'Threads that run tools.' }),
  BODY_LIMIT: Type.Integer({ default: 1_048_576, minimum: 1, description: 'Bytes of a request body at most.' }),
  METRICS_TOKEN: Type.String({ default: '', description: 'Bearer token that GET /metrics asks for; none when empty.' }),
})

/** The configuration of one backend, complete. */
export type Config = Static<typeof schema>

/** A setting that cannot work; the message names the variable and fits one line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** Reads and checks the configuration. Throws a {@link ConfigError}. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const given = Object.fromEntries(
    Object.entries(env).filter(([name, value]) => name in schema.properties && value !== ''),
  )
  const config = check(given)
  config.DOCS_DIR = path.resolve(config.DOCS_DIR || fastifyDocumentation())
  config.DATA_DIR = path.resolve(config.DATA_DIR)
  checkFolder('DOCS_DIR', config.DOCS_DIR)
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
    if (!statSync(folder).isDirectory()) throw new Error('it is no folder')
    accessSync(folder, constants.R_OK | constants.X_OK)
  } catch (error) {
    throw new ConfigError(`${name} must be a folder that can be read, got "${folder}" (${(error as Error).message})`, {
      cause: error,
    })
  }
}

function fastifyDocumentation(): string {
  return path.join(path.dirname(fileURLToPath(import.meta.resolve('fastify/package.json'))), 'docs')
}
