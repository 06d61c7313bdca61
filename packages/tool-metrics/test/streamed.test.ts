import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { PassThrough, Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline as pipelinePromise } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { assertDocumented, until } from '@data20/dev-services'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { TrackOptions } from '../src/index.ts'
import { build, readSeries } from './helpers.ts'

const BROKEN = new Error('on purpose')
const THIS_FILE = fileURLToPath(import.meta.url)

async function* generate(error?: Error): AsyncGenerator<string> {
  yield 'one'
  yield 'two'
  if (error) throw error
}

function* generateAtOnce(error?: Error): Generator<string> {
  yield 'one'
  yield 'two'
  if (error) throw error
}

/** As SDKs of model providers make it: an object that is read by a loop and has no methods of an iterator. */
class Answer {
  #error: Error | undefined
  constructor(error?: Error) {
    this.#error = error
  }
  [Symbol.asyncIterator](): AsyncIterator<string> {
    const parts = ['one', 'two']
    // Has no `return`.
    return {
      next: async () => {
        if (parts.length === 0 && this.#error) throw this.#error
        return parts.length > 0 ? { done: false, value: parts.shift()! } : { done: true, value: undefined }
      },
    }
  }
}

function webStream(error?: Error, parts: string[] = ['one', 'two']): ReadableStream<string> {
  return new ReadableStream({
    pull(controller) {
      if (parts.length > 0) controller.enqueue(parts.shift()!)
      else if (error) controller.error(error)
      else controller.close()
    },
  })
}

/** What tools answer with. Each has two parts, and then ends or fails. */
const SOURCES: Record<string, (error?: Error) => AsyncIterable<string> | Iterable<string>> = {
  'async generator': generate,
  generator: generateAtOnce,
  'async iterable': (error) => new Answer(error),
  'iterator of an array': (error) => (error ? generateAtOnce(error) : ['one', 'two'].values()),
  'Node.js stream': (error) => Readable.from(generate(error)),
  'web stream': (error) => webStream(error) as never,
}

/** Runs the tool with this answer, and returns what `track` returned. */
async function track<Result>(app: FastifyInstance, result: Result, options?: TrackOptions): Promise<Result> {
  const tracked = await app.toolMetrics.track('build_graph', async () => result, options)
  if (tracked !== result) throw new Error('Expected the object that the tool returned')
  return tracked
}

/** Asserts that one execution has ended like this; `undefined` asserts that it is active. */
async function assertStatus(t: Test, app: FastifyInstance, status: string | undefined, what: string): Promise<void> {
  const { 'tool_last_success_timestamp_seconds{tool_name="build_graph"}': _, ...series } = await readSeries(app)
  const ended = {
    [`tool_executions_total{status="${status}",tool_name="build_graph"}`]: 1,
    'tool_execution_duration_seconds_count{tool_name="build_graph"}': 1,
  }
  t.strictSame(series, status ? ended : { 'tool_executions_active{tool_name="build_graph"}': 1 }, what)
}

t.test('an execution ends with its streamed result: read, failed or left', async (t) => {
  for (const [kind, make] of Object.entries(SOURCES)) {
    const app = await build(t)
    const read: string[] = []
    for await (const part of await track(app, make())) {
      if (read.push(`${part}`) === 1) await assertStatus(t, app, undefined, `${kind}: active while it is read`)
    }
    t.strictSame(read, ['one', 'two'], kind)
    await assertStatus(t, app, 'completed', `${kind}: read`)

    const failing = await build(t)
    await t.rejects(async () => {
      for await (const part of await track(failing, make(BROKEN))) read.push(part)
    }, BROKEN)
    await assertStatus(t, failing, 'failed', `${kind}: failed`)

    const left = await build(t)
    for await (const part of await track(left, make())) {
      t.equal(part, 'one')
      break
    }
    await until(`the end of the ${kind}`, async () => Object.keys(await readSeries(left)).length === 2)
    await assertStatus(t, left, 'cancelled', `${kind}: left`)
  }
})

t.test('the duration is the time until the end, and isFailure is asked there', async (t) => {
  const app = await build(t, { tools: ['build_graph'], isFailure: (result) => result instanceof Answer })
  const startMs = performance.now()
  for await (const _ of await track(app, new Answer())) await new Promise((resolve) => setTimeout(resolve, 30))
  const elapsedSeconds = (performance.now() - startMs) / 1000
  const { body } = await app.inject('/metrics')
  const sum = Number(/^tool_execution_duration_seconds_sum\S* (.*)$/m.exec(body)?.[1])
  t.ok(sum >= 0.055 && sum <= elapsedSeconds, `${sum} s`)
  await assertStatus(t, app, 'failed', 'as isFailure says')
})

t.test('a generator that is thrown into, asked twice at once or finished before it began', async (t) => {
  const thrown = await build(t)
  const generator = await track(thrown, generate())
  await generator.next()
  await t.rejects(generator.throw(BROKEN), BROKEN)
  await assertStatus(t, thrown, 'failed', 'the error leaves the generator')

  const caught = await build(t)
  const patient = await track(
    caught,
    (async function* () {
      try {
        yield 1
      } catch {}
      yield 2
      return 3
    })(),
  )
  await patient.next()
  t.strictSame(await patient.throw(BROKEN), { done: false, value: 2 })
  await assertStatus(t, caught, undefined, 'the generator goes on')
  t.strictSame(await Promise.all([patient.next(), patient.next()]), [
    { done: true, value: 3 },
    { done: true, value: undefined },
  ])
  await assertStatus(t, caught, 'completed', 'the end counts once')

  const unread = await build(t)
  await (await track(unread, generate())).return(undefined)
  await assertStatus(t, unread, 'cancelled', 'finished before it began')
})

t.test('Node.js streams: pipes, destroyed streams and streams of other kinds', async (t) => {
  const cases: Array<[string, string, () => Readable, (stream: Readable) => unknown]> = [
    ['consumers', 'completed', () => createReadStream(THIS_FILE), (stream) => text(stream)],
    ['pipeline', 'completed', () => Readable.from(generate()), (stream) => pipelinePromise(stream, sink())],
    ['the reader breaks', 'cancelled', () => Readable.from(generate()), (stream) => pipelinePromise(stream, closing())],
    ['destroyed', 'cancelled', () => Readable.from(generate()), (stream) => stream.destroy()],
    [
      'destroyed for a reason',
      'failed',
      () => Readable.from(generate()).on('error', () => {}),
      (stream) => stream.destroy(BROKEN),
    ],
    ['no such file', 'failed', () => createReadStream('/no/such/file').on('error', () => {}), () => {}],
    ['ended before', 'completed', () => ended(), () => {}],
    ['a transform', 'completed', () => Readable.from(generate()).pipe(new PassThrough()), (stream) => stream.resume()],
    [
      'web stream made of it',
      'completed',
      () => Readable.from(['a']),
      (stream) => read(Readable.toWeb(stream) as never),
    ],
  ]
  for (const [what, status, make, use] of cases) {
    const app = await build(t)
    const stream = make()
    if (what === 'ended before') await once(stream.resume(), 'end')
    await Promise.resolve(use(await track(app, stream))).catch(() => {})
    await until(`the end: ${what}`, async () => (await readSeries(app))[ACTIVE] === undefined)
    await assertStatus(t, app, status, what)
  }

  const app = await build(t)
  await track(app, sink())
  await assertStatus(t, app, 'completed', 'a stream that is only written to is no streamed result')
})

t.test('web streams: readers, pipes, branches, and what others make of them', async (t) => {
  const cases: Array<[string, string, (error?: undefined) => ReadableStream, (stream: ReadableStream) => unknown]> = [
    ['a reader', 'completed', webStream, read],
    ['a reader that cancels', 'cancelled', webStream, (stream) => stream.getReader().cancel()],
    ['cancel', 'cancelled', webStream, (stream) => stream.cancel()],
    ['a failure', 'failed', () => webStream(BROKEN), read],
    ['pipeTo', 'completed', webStream, (stream) => stream.pipeTo(new WritableStream())],
    [
      'pipeTo of a stream that fails',
      'failed',
      () => webStream(BROKEN),
      (stream) => stream.pipeTo(new WritableStream()),
    ],
    ['pipeTo what fails', 'cancelled', webStream, (stream) => stream.pipeTo(failingSink())],
    ['pipeThrough', 'completed', webStream, (stream) => read(stream.pipeThrough(new TransformStream()))],
    ['two branches', 'completed', webStream, (stream) => Promise.all(stream.tee().map(read))],
    [
      'two branches that are cancelled',
      'cancelled',
      webStream,
      (stream) => Promise.all(stream.tee().map((branch) => branch.cancel())),
    ],
    [
      'one branch',
      'completed',
      webStream,
      (stream) => {
        const [one, two] = stream.tee()
        return Promise.all([read(one), two.cancel()])
      },
    ],
    [
      'Response',
      'completed',
      () => webStream().pipeThrough(new TextEncoderStream()),
      (stream) => new Response(stream).text(),
    ],
    ['Readable.fromWeb', 'completed', webStream, (stream) => text(Readable.fromWeb(stream as never))],
    ['bytes', 'completed', byteStream, (stream) => new Response(stream).arrayBuffer()],
    ['closed before', 'completed', () => new ReadableStream({ start: (controller) => controller.close() }), () => {}],
    [
      'failed before',
      'failed',
      () => new ReadableStream({ start: (controller) => controller.error(BROKEN) }),
      () => {},
    ],
  ]
  for (const [what, status, make, use] of cases) {
    const app = await build(t)
    await Promise.resolve(use(await track(app, make()))).catch(() => {})
    await until(`the end: ${what}`, async () => (await readSeries(app))[ACTIVE] === undefined)
    await assertStatus(t, app, status, what)
  }

  const app = await build(t)
  const stream = await track(app, webStream(undefined, ['one', 'two', 'three', 'four']))
  const reader = stream.getReader()
  await reader.read()
  reader.releaseLock()
  for await (const _ of stream.values({ preventCancel: true })) break
  await assertStatus(t, app, undefined, 'a reader that hands the stream on does not end it')
  await read(stream)
  await assertStatus(t, app, 'completed', 'the next reader does')
})

t.test('a streamed answer of a route ends with its response', async (t) => {
  for (const make of [() => Readable.from(generate()), () => webStream().pipeThrough(new TextEncoderStream())]) {
    const app = await build(t)
    app.get('/', async (_request, reply) => reply.send(await track(app, make() as Readable)))
    t.equal((await app.inject('/')).body, 'onetwo')
    await assertStatus(t, app, 'completed', 'the response is complete')
  }
})

t.test('the time limit and the signal of the caller end a result that nobody reads', async (t) => {
  for (const [kind, make] of Object.entries(SOURCES)) {
    const late = await build(t)
    await track(late, make(), { timeoutMs: 1 })
    await until('the time limit', async () => (await readSeries(late))[ACTIVE] === undefined)
    await assertStatus(t, late, 'timeout', kind)

    const cancelled = await build(t)
    const caller = new AbortController()
    await track(cancelled, make(), { signal: caller.signal, timeoutMs: 60_000 })
    caller.abort()
    await assertStatus(t, cancelled, 'cancelled', kind)
  }
})

t.test('a result that is read when its signal aborts ends by what the reader gets', async (t) => {
  const app = await build(t)
  const caller = new AbortController()
  let fail = (_error: unknown) => {}
  const answer = await app.toolMetrics.track(
    'build_graph',
    async function* (signal) {
      yield 1
      await new Promise((_, reject) => (fail = () => reject(signal.reason)))
    },
    { signal: caller.signal },
  )
  await answer.next()
  const second = answer.next()
  caller.abort(new DOMException('late', 'TimeoutError'))
  await assertStatus(t, app, undefined, 'the tool has not stopped')
  fail(0)
  await t.rejects(second, { message: 'late' })
  await assertStatus(t, app, 'timeout', 'by the reason of its signal')

  const deaf = await build(t)
  const other = new AbortController()
  const parts = await track(deaf, generate(), { signal: other.signal })
  const first = parts.next()
  other.abort()
  await first
  await assertStatus(t, deaf, 'cancelled', 'a generator that ignores its signal runs only until its next part')
})

t.test('a result that is dropped unread is cancelled when it is collected', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (const [kind, make] of Object.entries(SOURCES)) {
    const app = await build(t)
    await track(app, make())
    await assertStatus(t, app, undefined, `${kind}: active`)
    await until(`the collection of the ${kind}`, async () => {
      collect()
      return (await readSeries(app))[ACTIVE] === undefined
    })
    await assertStatus(t, app, 'cancelled', kind)
  }
})

t.test('values that are no streamed results complete at once', async (t) => {
  const hostile = new Proxy({}, { get: (_, key) => (key === 'then' ? undefined : fail()) })
  function fail(): never {
    throw BROKEN
  }
  const values = [
    ['one'],
    'two',
    new Map(),
    Buffer.from('three'),
    { next: () => {} },
    { next: 'page 2' },
    null,
    Object.freeze(generate()),
    hostile,
  ]
  const app = await build(t)
  for (const value of values) await track(app, value)
  const series = await readSeries(app)
  t.equal(series['tool_executions_total{status="completed",tool_name="build_graph"}'], values.length)
  t.equal(series[ACTIVE], undefined)

  assertDocumented(t, {
    library: 'results that are read: generators, iterators, `node:stream`, web streams',
    version: 'Node.js',
    counted: 'until they are read, fail or are left; dropped unread, until they are collected',
    notCounted:
      'frozen objects, and streams that are transferred to a worker: these complete at once, or when they are collected',
  })
})

const ACTIVE = 'tool_executions_active{tool_name="build_graph"}'

async function read(stream: ReadableStream): Promise<void> {
  const reader = stream.getReader()
  while (!(await reader.read()).done);
}

function sink(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() })
}

/** Closes at its first part, as the response to a client that leaves. */
function closing(): Writable {
  const writable: Writable = new Writable({ write: () => writable.destroy() })
  return writable
}

function failingSink(): WritableStream {
  return new WritableStream({ write: () => Promise.reject(BROKEN) })
}

function ended(): Readable {
  return Readable.from([])
}

function byteStream(): ReadableStream {
  return new ReadableStream({
    type: 'bytes',
    start(controller) {
      controller.enqueue(new Uint8Array([1, 2, 3]))
      controller.close()
    },
  })
}
