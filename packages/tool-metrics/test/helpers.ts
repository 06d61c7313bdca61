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

/** Returns the series that are not zero, without buckets, sums and the series of metrics-core itself. */
export async function readSeries(app: FastifyInstance): Promise<Record<string, number>> {
  const { body } = await app.inject('/metrics')
  const lines = body
    .split('\n')
    .filter((line) => /^tool_/.test(line) && !/_bucket|_sum/.test(line) && !line.endsWith(' 0'))
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]))
}
