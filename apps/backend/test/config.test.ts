import t from 'tap'
import { build, type Environment, SERVER } from './helpers.ts'

t.test('a setting that cannot work is one line that names the variable', async (t) => {
  for (const [env, line] of [
    [{ PORT: 'abc' }, /^PORT must be integer, got "abc"$/],
    [{ PORT: '70000' }, /^PORT must be <= 65535, got "70000"$/],
    [{ LOG_LEVEL: 'loud' }, /^LOG_LEVEL must be equal to one of the allowed values: fatal, .*, got "loud"$/],
    [{ DOCS_DIR: '/nowhere' }, /^DOCS_DIR must be a folder that can be read, got "\/nowhere" \(.*\)$/],
    [{ DOCS_DIR: SERVER }, /^DOCS_DIR must be a folder that can be read, got ".*" \(not a folder\)$/],
    [
      { DATABASE_URL: 'mysql://x' },
      /^DATABASE_URL must be an address that starts with postgres:\/\/ or postgresql:\/\/$/,
    ],
    [
      { DATABASE_URL: 'postgres://127.0.0.1:1/x' },
      /^DATABASE_URL cannot be reached: connect ECONNREFUSED 127.0.0.1:1$/,
    ],
    [
      { DATABASE_URL: '', DATA_DIR: '/dev/null/x' },
      /^DATABASE_URL is not set, .* started in DATA_DIR \/dev\/null\/x: .*$/,
    ],
    [{ REDIS_URL: 'localhost' }, /^REDIS_URL must be an address that starts with redis:\/\/ or rediss:\/\/$/],
    [{ QUEUE_NAME: 'a:b' }, /^QUEUE_NAME must match pattern .*, got "a:b"$/],
    [{ WORKERS: '2' }, /^WORKERS must be <= 1, got "2"$/],
  ] as Array<[Environment, RegExp]>) {
    await t.rejects(build(t, env), { name: 'ConfigError', message: line })
  }
})
