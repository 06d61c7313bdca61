// Finds source files, test files, functions and comments that are longer than the house allows.
import { readdirSync, readFileSync } from 'node:fs'
import ts from 'typescript-classic'

const MAX_SOURCE_LINES = 300
const MAX_TEST_LINES = 400
/** Lines of a function without those of the functions in it. */
const MAX_FUNCTION_LINES = 60
/** Columns of a comment; the formatter does not wrap comments. */
const MAX_COMMENT_COLUMNS = 120
/** Lines of one call of `test(…)`, with everything in it. */
const MAX_TEST_BLOCK_LINES = 80

const SKIPPED = new Set(['node_modules', 'dist', 'fixtures', '.tap', '.turbo'])

/** Returns the paths of all TypeScript files below a folder of the repository. */
export function typescriptFiles(root, folder) {
  return readdirSync(new URL(`${folder}/`, root), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : typescriptFiles(root, path)
    return path.endsWith('.ts') ? [path] : []
  })
}

/** Returns a sentence for each file, function and comment that is too long. */
export function findLong(root, files) {
  return files.flatMap((file) => {
    const text = readFileSync(new URL(file, root), 'utf8')
    const isTest = file.includes('/test/') || file.includes('/soak/')
    const most = isTest ? MAX_TEST_LINES : MAX_SOURCE_LINES
    const lines = text.trimEnd().split('\n').length
    const problems = lines > most ? [`${file}: ${lines} lines, expected at most ${most}`] : []
    for (const [index, line] of text.split('\n').entries()) {
      if (/^\s*(\/\/|\/?\*)/.test(line) && line.length > MAX_COMMENT_COLUMNS) {
        problems.push(
          `${file}:${index + 1}: a comment of ${line.length} columns, expected at most ${MAX_COMMENT_COLUMNS}`,
        )
      }
    }
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
    const find = isTest ? findTestBlocks : findFunctions
    return [
      ...problems,
      ...find(source).map(
        ({ name, line, length, limit }) => `${file}:${line}: ${name} has ${length} lines, expected at most ${limit}`,
      ),
    ]
  })
}

function findFunctions(source) {
  const found = []
  visit(source)
  return found

  /** Returns the lines that functions below a node take. */
  function visit(node) {
    let nested = 0
    ts.forEachChild(node, (child) => {
      nested += visit(child)
    })
    if (!ts.isFunctionLike(node) || !node.body) return nested
    const { from, to } = linesOf(source, node)
    const length = to - from + 1 - nested
    if (length > MAX_FUNCTION_LINES) {
      found.push({ name: node.name?.getText(source) ?? 'a function', line: from, length, limit: MAX_FUNCTION_LINES })
    }
    return to - from + 1
  }
}

function findTestBlocks(source) {
  const found = []
  visit(source)
  return found

  function visit(node) {
    if (ts.isCallExpression(node) && /(^|\.)test$/.test(node.expression.getText(source))) {
      const { from, to } = linesOf(source, node)
      const length = to - from + 1
      const name = node.arguments[0]?.getText(source) ?? 'a test'
      if (length > MAX_TEST_BLOCK_LINES) found.push({ name, line: from, length, limit: MAX_TEST_BLOCK_LINES })
    }
    ts.forEachChild(node, visit)
  }
}

function linesOf(source, node) {
  const lineOf = (position) => source.getLineAndCharacterOfPosition(position).line + 1
  return { from: lineOf(node.getStart(source)), to: lineOf(node.getEnd()) }
}
