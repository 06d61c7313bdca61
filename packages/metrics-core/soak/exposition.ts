/**
 * 10,000 generated expositions, read by every parser in rounds: `pnpm soak`, or in this package
 * `SOAK_RUNS=1000 SOAK_SEED=7 pnpm run soak`. Ends with exit code 1 when anything was lost.
 */
import { openmetricsParser, prometheus, promtool } from '@data20/dev-services'
import * as successor from '@prometheus-io/client'
import * as promClient from 'prom-client'
import t from 'tap'
import { type Client, generate } from './generate.ts'
import { proveByPrometheus, proveByPromtool, proveByStrictParser } from './proof.ts'

const RUNS = Number(process.env.SOAK_RUNS ?? 10_000)
const SEED = Number(process.env.SOAK_SEED ?? Date.now() % 2 ** 31)
const ROUND = 1000

t.test(`${RUNS} generated expositions, seed ${SEED}, lose nothing`, { timeout: 1_800_000 }, async (t) => {
  const tools = { parser: await openmetricsParser(), promtool: await promtool(), prometheus: await prometheus() }
  const start = Date.now()
  let samples = 0
  for (let done = 0; done < RUNS; done += ROUND) {
    const all = await generate(Math.min(ROUND, RUNS - done), SEED + done, [promClient, successor as unknown as Client])
    const [strict, lint, stored] = await Promise.all([
      proveByStrictParser(tools.parser, all),
      proveByPromtool(tools.promtool, all),
      proveByPrometheus(tools.prometheus, all),
    ])
    samples += all.reduce((sum, one) => sum + one.samples.length, 0)
    const losses = [...strict, ...lint, ...stored]
    const seconds = ((Date.now() - start) / 1000).toFixed(0)
    process.stderr.write(
      `soak: ${done + all.length} of ${RUNS} expositions, ${samples} samples, ${losses.length} losses, ${seconds} s\n`,
    )
    t.same(losses.slice(0, 20), [], `round from seed ${SEED + done}`)
    if (losses.length > 0) return
  }
  t.comment(`${RUNS} expositions, ${samples} samples through three parsers, nothing lost`)
})
