/**
 * Real services and tools for tests, benchmarks and CI, and helpers to start processes, read expositions and wait for
 * conditions. Nothing is installed on the machine: what is missing is fetched into one cache folder.
 * @module
 */
export { freePort } from '@data20/embedded-postgres'
export { type AlertmanagerServiceOptions, startAlertmanager } from './alertmanager.ts'
export { cacheDirectory } from './cache.ts'
export { assertDocumented, type Compatibility } from './compatibility.ts'
export { ToolUnavailableError } from './errors.ts'
export { type ExpositionSample, readSamples, readValue } from './exposition.ts'
export { startMariadb } from './mariadb.ts'
export { type PostgresServiceOptions, startPostgres } from './postgres.ts'
export { type ProcessOptions, type StartedProcess, startProcess } from './process.ts'
export {
  type PrometheusService,
  type PrometheusServiceOptions,
  type Sample,
  startPrometheus,
  type Target,
} from './prometheus.ts'
export { type RedisServiceOptions, startRedis } from './redis.ts'
export type { Service } from './service.ts'
export { type TearDown, temporaryFolder } from './temporary.ts'
export {
  alertmanager,
  amtool,
  debianTool,
  openmetricsParser,
  prometheus,
  promtool,
  runTool,
  type Skippable,
  type Tool,
  type ToolName,
  type ToolOptions,
  type ToolResult,
  toolOrSkip,
} from './tools.ts'
export { until } from './until.ts'
