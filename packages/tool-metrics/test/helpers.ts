/** What the tests of tool-metrics have in common. */
import Fastify, { type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import toolMetrics, { type ToolMetricsOptions } from '../src/index.ts'

export async function build(
  t: Test,
  options: ToolMetricsOptions = { tools: ['build_graph'] },
): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(toolMetrics, options)
  return app
}
