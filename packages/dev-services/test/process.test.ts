import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startProcess, temporaryFolder, until } from '../src/index.ts'

/** Writes a program and returns its path. */
function program(t: Test, source: string): string {
  const file = join(temporaryFolder(t, 'program'), 'program.mjs')
  writeFileSync(file, source)
  return file
}

const IGNORES_SIGTERM = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('ready')"

t.test(
  'a program runs as users run it: with its arguments and environment, and nothing of the test runner',
  async (t) => {
    const file = program(
      t,
      `console.log(JSON.stringify({ args: process.argv.slice(2), env: process.env, cwd: process.cwd() }))
     console.error('warned')
     process.exitCode = 3`,
    )
    const cwd = temporaryFolder(t, 'dev-services')
    const { exited, output } = startProcess(t, file, {
      args: ['--flag', 'a b'],
      env: { GREETING: 'a=b\n', UNSET: undefined },
      cwd,
    })

    t.equal(await exited, 3)
    t.strictSame(JSON.parse(output.stdout), {
      args: ['--flag', 'a b'],
      env: { PATH: process.env.PATH, GREETING: 'a=b\n' },
      cwd,
    })
    t.equal(output.stderr, 'warned\n')
  },
)

t.test('all of the output is there when the process has exited', async (t) => {
  const { exited, output } = startProcess(t, program(t, "process.stdout.write('x'.repeat(1_000_000))"))
  t.equal(await exited, 0)
  t.equal(output.stdout.length, 1_000_000)
})

t.test('a grandchild that keeps the pipes open does not delay the exit', async (t) => {
  const file = program(
    t,
    `import { spawn } from 'node:child_process'
     const { pid } = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)'], { stdio: 'inherit', detached: true })
     console.log(pid)
     process.exit(0)`,
  )
  const { exited, output } = startProcess(t, file)
  t.equal(await exited, 0)
  t.ok(process.kill(Number(output.stdout), 'SIGKILL'), 'it is still running')
})

t.test('end sends a signal and resolves to the exit code', async (t) => {
  const file = program(
    t,
    "process.on('SIGTERM', () => process.exit(7)); setInterval(() => {}, 1000); console.log('ready')",
  )
  const asked = startProcess(t, file)
  await until('the program to be ready', () => asked.output.stdout.includes('ready'))
  t.equal(await asked.end('SIGTERM'), 7)
  t.equal(await asked.end('SIGTERM'), 7, 'a second time it has ended already')

  const killed = startProcess(t, file)
  t.equal(await killed.end('SIGKILL'), null)
  t.equal(killed.child.signalCode, 'SIGKILL')
})

t.test('a process that does not end is killed, and end says so', async (t) => {
  const { child, output, end } = startProcess(t, program(t, IGNORES_SIGTERM), { endTimeoutMs: 50 })
  await until('the program to be ready', () => output.stdout.includes('ready'))
  await t.rejects(end('SIGTERM'), /Expected .*program\.mjs to end within 50 ms of SIGTERM, sent SIGKILL: ready/)
  t.equal(child.signalCode, 'SIGKILL')
})

t.test('the teardown ends what is still running', async (t) => {
  const signals: Array<NodeJS.Signals | null> = []
  await t.test('a test that leaves two processes', async (t) => {
    const willing = startProcess(t, program(t, "setInterval(() => {}, 1000); console.log('ready')"))
    const stubborn = startProcess(t, program(t, IGNORES_SIGTERM), { endTimeoutMs: 50 })
    for (const { child, output } of [willing, stubborn]) {
      child.once('exit', (_code, signal) => signals.push(signal))
      await until('the program to be ready', () => output.stdout.includes('ready'))
    }
  })
  t.same(signals.sort(), ['SIGKILL', 'SIGTERM'])
})

t.test('a program that cannot be started rejects', async (t) => {
  const { exited } = startProcess(t, program(t, ''), { cwd: '/no/such/folder' })
  await t.rejects(exited, { code: 'ENOENT' })
})
