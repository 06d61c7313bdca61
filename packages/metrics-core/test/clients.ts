/** The two Prometheus clients whose registries metrics-core accepts, and the strict parser for their expositions. */
import { openmetricsParser, runTool, toolOrSkip } from '@data20/dev-services'
import * as successor from '@prometheus-io/client'
import * as promClient from 'prom-client'
import type { Test } from 'tap'

export type Client = typeof promClient

export const CLIENTS: Record<string, Client> = {
  'prom-client': promClient,
  '@prometheus-io/client': successor as unknown as Client,
}

/** Asserts that Debian's strict OpenMetrics parser accepts an exposition. */
export async function assertParses(t: Test, openMetrics: string): Promise<void> {
  const parser = await toolOrSkip(t, openmetricsParser)
  if (parser) t.match(await runTool(parser, [], { input: openMetrics }), { code: 0, stderr: '' })
}
