/**
 * Runs the rule tests against mutants with the real promtool.
 *
 * @module
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { runTool, type Tool } from '@data20/dev-services'
import { type Mutant, mutantsOf } from './mutants.ts'

/** A mutant, and the tests that should fail for it. */
export interface Case extends Mutant {
  /** The rule file, relative to the folder `prometheus`: `alerts/http.yml`. */
  file: string
  /** The test file of the rule file: `http.test.yml` for alerts, `http-rules.test.yml` for recording rules. */
  test: string
}

/** Returns every mutant of every rule file in the folder `prometheus`. */
export function casesOf(folder: string): Case[] {
  return ['rules', 'alerts'].flatMap((kind) =>
    readdirSync(join(folder, kind)).flatMap((name) => {
      const file = `${kind}/${name}`
      const test = `${basename(name, '.yml')}${kind === 'rules' ? '-rules' : ''}.test.yml`
      return mutantsOf(file, readFileSync(join(folder, file), 'utf8')).map((mutant) => ({ ...mutant, file, test }))
    }),
  )
}

/** Runs the tests of each case, `concurrency` at a time, and resolves to the cases for which every test passes. */
export async function findSurvivors(
  cases: Case[],
  { folder, promtool, concurrency = 2 }: { folder: string; promtool: Tool; concurrency?: number },
): Promise<Case[]> {
  const survivors: Case[] = []
  const queue = [...cases]
  await Promise.all(Array.from({ length: concurrency }, work))
  return survivors

  async function work(): Promise<void> {
    const directory = mkdtempSync(join(tmpdir(), 'mutants-'))
    for (const kind of ['rules', 'alerts', 'tests']) mkdirSync(join(directory, kind))
    try {
      for (let next = queue.shift(); next; next = queue.shift()) {
        writeFileSync(join(directory, next.file), next.text)
        writeFileSync(join(directory, 'tests', next.test), readFileSync(join(folder, 'tests', next.test)))
        const { code, stdout, stderr } = await runTool(promtool, ['test', 'rules', `tests/${next.test}`], {
          cwd: directory,
        })
        const output = stdout + stderr
        if (code === 0) survivors.push(next)
        // Any test catches an invalid rule file, so a mutant must fail by a wrong value or a failing rule.
        else if (!/got:|, err:/.test(output))
          throw new Error(`Expected the mutant ${next.id} to be a rule file: ${output}`)
      }
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  }
}
