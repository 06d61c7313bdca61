import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { type Answers, answersOf, differencesOf } from './answers.ts'

const FIXTURES = new URL('../fixtures/', import.meta.url)
const RECORDING = new URL('answers.json', FIXTURES)
const FASTIFY = new URL('.', import.meta.resolve('fastify/package.json'))
const VERSION = JSON.parse(readFileSync(new URL('package.json', FASTIFY), 'utf8')).version as string
const FOLDERS = {
  fastify: fileURLToPath(new URL('docs', FASTIFY)),
  small: fileURLToPath(new URL('small', FIXTURES)),
}

/** Answers on another version of Fastify's documentation say nothing about the tools. */
interface Recording {
  fastify: string
  corpora: Record<keyof typeof FOLDERS, Answers>
}

if (process.env.RECORD) await record()
const recording = JSON.parse(readFileSync(RECORDING, 'utf8')) as Recording
// By reason. The recording was made with the parser before this one.
const expected = JSON.parse(readFileSync(new URL('differences.json', FIXTURES), 'utf8')) as Record<string, string[]>

t.test("the recording is of the installed Fastify's documentation; `RECORD=1` makes a new one", async (t) => {
  t.equal(recording.fastify, VERSION)
})

t.test('the tools answer as recorded, but for the differences that have a reason', async (t) => {
  const corpora: Record<string, Answers> = {}
  for (const [name, folder] of Object.entries(FOLDERS)) corpora[name] = await answersOf(folder)

  const differences = differencesOf(recording.corpora, corpora)
  t.same(differences.sort(), Object.values(expected).flat().sort())

  t.ok(Object.keys(corpora.fastify!.documents).length > 40)
  t.equal(Object.keys(corpora.small!.tools).length, 9)
})

async function record(): Promise<void> {
  const corpora: Record<string, Answers> = {}
  for (const [name, folder] of Object.entries(FOLDERS)) corpora[name] = await answersOf(folder)
  // Two levels of indentation: a difference is a line, and the file stays small.
  const text = JSON.stringify({ fastify: VERSION, corpora }, null, 1)
  writeFileSync(RECORDING, `${text.replace(/\n {5,}/g, '').replaceAll('": ', '":')}\n`)
}
