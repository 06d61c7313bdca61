import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { type Answers, answersOf } from './answers.ts'

const FIXTURES = new URL('../fixtures/', import.meta.url)
const RECORDING = new URL('answers.json', FIXTURES)
const FASTIFY = new URL('.', import.meta.resolve('fastify/package.json'))
const VERSION = JSON.parse(readFileSync(new URL('package.json', FASTIFY), 'utf8')).version as string
const FOLDERS = {
  fastify: fileURLToPath(new URL('docs', FASTIFY)),
  small: fileURLToPath(new URL('small', FIXTURES)),
}

/** Answers of another version of Fastify's documentation say nothing about the tools. */
interface Recording {
  fastify: string
  corpora: Record<keyof typeof FOLDERS, Answers>
}

if (process.env.RECORD) await record()
const recording = JSON.parse(readFileSync(RECORDING, 'utf8')) as Recording

t.test("the recording is of the installed Fastify's documentation; `RECORD=1` makes a new one", async (t) => {
  t.equal(recording.fastify, VERSION)
})

for (const [name, folder] of Object.entries(FOLDERS) as Array<[keyof typeof FOLDERS, string]>) {
  t.test(`the tools answer on ${name} as recorded`, async (t) => {
    const { tools, documents } = await answersOf(folder)
    const recorded = recording.corpora[name]

    for (const [call, answer] of Object.entries(recorded.tools)) t.same(tools[call], answer, call)
    for (const [id, outline] of Object.entries(recorded.documents)) t.same(documents[id], outline, id)
    t.same(Object.keys(tools), Object.keys(recorded.tools))
    t.same(Object.keys(documents), Object.keys(recorded.documents))
  })
}

async function record(): Promise<void> {
  const corpora: Record<string, Answers> = {}
  for (const [name, folder] of Object.entries(FOLDERS)) corpora[name] = await answersOf(folder)
  // Two levels of indentation: a difference is a line, and the file stays small.
  const text = JSON.stringify({ fastify: VERSION, corpora }, null, 1)
  writeFileSync(RECORDING, `${text.replace(/\n {5,}/g, '').replaceAll('": ', '":')}\n`)
}
