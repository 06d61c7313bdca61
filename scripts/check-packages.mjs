// Proves that every package is the same package: files, exports, tsconfig, references, README sections, and its place
// in the rest of the repository; and that no file or function is too long. Prints each difference and exits with 1 when
// there is one. Part of `npm run check`.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { findLong, typescriptFiles } from './lengths.mjs'

const root = new URL('../', import.meta.url)
const problems = []

/** Sections of a plugin's README, in this order; a package may have others between them. */
const README_SECTIONS = [
  'Install',
  'Usage',
  'Metrics',
  'Options',
  'Decorators and route options',
  'Cost',
  'Limitations and FAQ',
  'Dashboard and alerts',
]

const packages = readdirSync(new URL('packages/', root)).map((name) => ({ name, folder: `packages/${name}` }))
const names = packages.map(({ name }) => name)
const measuring = packages.filter(({ name }) => name === 'metrics-core' || name.endsWith('-metrics'))
const plugins = measuring.filter(({ name }) => name !== 'metrics-core')

for (const one of packages) checkPackage(one)
for (const one of measuring) checkMetrics(one)
for (const one of plugins) checkPlugin(one)
checkRoot()

const sources = ['packages', 'apps', 'monitoring'].flatMap((folder) => typescriptFiles(root, folder))
for (const file of sources.filter((path) => path.includes('/src/'))) {
  expect(/^\/\*\*[\s\S]*?@module/.test(read(file)), file, 'a first comment with @module')
}
problems.push(...findLong(root, sources))

for (const problem of problems) console.log(problem)
console.log(`${packages.length} packages, ${sources.length} files, ${problems.length} problems`)
process.exitCode = problems.length > 0 ? 1 : 0

/** What every package has. */
function checkPackage({ name, folder }) {
  const manifest = readManifest(folder)
  const where = `${folder}/package.json`
  expect(manifest.name === `@data20/${name}`, where, `the name @data20/${name}`)
  expect(manifest.description?.endsWith('.'), where, 'a description that is a sentence')
  expect(manifest.license === 'MIT' && manifest.type === 'module', where, 'the licence MIT and the type module')
  expect(isDeepStrictEqual(manifest.files, ['dist']), where, 'files: ["dist"]')
  expect(manifest.scripts?.test === 'tap', where, 'the script test: "tap"')
  expect(exists(`${folder}/.taprc`), folder, 'a file .taprc')
  for (const [subpath, target] of Object.entries(manifest.exports)) {
    const file = subpath === '.' ? 'index' : subpath.slice(2)
    const expected = { types: `./dist/${file}.d.ts`, default: `./dist/${file}.js` }
    expect(isDeepStrictEqual(target, expected), where, `the export ${subpath} to be dist/${file}`)
    expect(exists(`${folder}/src/${file}.ts`), where, `a file src/${file}.ts for the export ${subpath}`)
  }
  for (const field of ['dependencies', 'devDependencies', 'optionalDependencies']) {
    for (const [dependency, range] of Object.entries(manifest[field] ?? {})) {
      const expected = dependency.startsWith('@data20/') ? 'workspace:^' : 'catalog:'
      expect(range === expected, where, `${dependency}: "${expected}" in ${field}`)
    }
  }
  const own = Object.keys(manifest.dependencies ?? {}).filter((dependency) => dependency.startsWith('@data20/'))
  const references = own.map((dependency) => ({ path: dependency.replace('@data20', '..') }))
  const expected = {
    extends: '../../tsconfig.base.json',
    compilerOptions: { rootDir: 'src', outDir: 'dist', tsBuildInfoFile: 'dist/.tsbuildinfo' },
    include: ['src'],
    ...(references.length > 0 ? { references } : {}),
  }
  const tsconfig = JSON.parse(read(`${folder}/tsconfig.json`))
  expect(isDeepStrictEqual(tsconfig, expected), `${folder}/tsconfig.json`, JSON.stringify(expected))
  expect(manifest.private || exists(`${folder}/README.md`), folder, 'a README.md')
}

/** What every package with metrics has. */
function checkMetrics({ name, folder }) {
  const stem = stemOf(name)
  for (const file of ['src/options.ts', 'src/metrics.ts', 'test/metrics.test.ts', 'test/index.test.ts']) {
    expect(exists(`${folder}/${file}`), folder, `a file ${file}`)
  }
  const manifest = readManifest(folder)
  expect(manifest.exports['./metrics'] !== undefined, `${folder}/package.json`, 'an export ./metrics')
  expect(manifest.peerDependencies?.fastify === '^5.0.0', `${folder}/package.json`, 'the peer fastify: "^5.0.0"')
  const metrics = readIfThere(`${folder}/src/metrics.ts`)
  expect(/^export const definitions = \{/m.test(metrics), `${folder}/src/metrics.ts`, 'an export definitions')
  expect(/^export const labelValues: LabelValues/m.test(metrics), `${folder}/src/metrics.ts`, 'an export labelValues')
  const options = readIfThere(`${folder}/src/options.ts`)
  expect(/^export function resolveOptions\(/m.test(options), `${folder}/src/options.ts`, 'a function resolveOptions')

  const sections = [...readIfThere(`${folder}/README.md`).matchAll(/^## (.*)$/gm)].map(([, title]) => title)
  const known = sections.filter((title) => README_SECTIONS.includes(title))
  expect(
    isDeepStrictEqual(known, README_SECTIONS),
    `${folder}/README.md`,
    `the sections ${README_SECTIONS.join(', ')}, got ${sections.join(', ')}`,
  )

  expect(
    exists(`monitoring/prometheus/alerts/${stem}.yml`),
    folder,
    `alerts in monitoring/prometheus/alerts/${stem}.yml`,
  )
  expect(read('README.md').includes(`(${folder}/README.md)`), 'README.md', `a link to ${folder}/README.md`)
  expect(
    read('docs/metrics.md').includes(`## ${name}`),
    'docs/metrics.md',
    `a section ${name} (cd monitoring && npm run catalogue)`,
  )
}

/** What every plugin on top of metrics-core has. */
function checkPlugin({ name, folder }) {
  const stem = stemOf(name)
  const file = `${folder}/src/index.ts`
  const index = readIfThere(file)
  const plugin = `${stem}Metrics`
  expect(exists(`${folder}/src/instruments.ts`), folder, 'a file src/instruments.ts')
  expect(index.includes("declare module 'fastify'"), file, "a declaration of the decorator: declare module 'fastify'")
  expect(
    new RegExp(`fp\\(${plugin}, \\{\\s*name: '@data20/${name}'`).test(index),
    file,
    `fp(${plugin}, { name: '@data20/${name}' … })`,
  )
  expect(index.includes(`fastify.decorate('${plugin}'`), file, `the decorator ${plugin}`)
  expect(new RegExp(`plugin as default, plugin as ${plugin}\\b`).test(index), file, `the exports default and ${plugin}`)
  expect(index.includes('ensureMetrics(fastify)'), file, 'ensureMetrics(fastify)')
  expect(
    exists(`monitoring/grafana/dashboards/${stem}.json`),
    folder,
    `a dashboard monitoring/grafana/dashboards/${stem}.json`,
  )
  const dependencies = Object.keys(readManifest(folder).dependencies)
  for (const dependency of ['@data20/metrics-core', 'fastify-plugin']) {
    expect(dependencies.includes(dependency), `${folder}/package.json`, `the dependency ${dependency}`)
  }
  const siblings = dependencies.filter((one) => plugins.some(({ name }) => one === `@data20/${name}`))
  expect(siblings.length === 0, `${folder}/package.json`, `no dependency on another plugin, got ${siblings.join(', ')}`)
}

/** What the root says of all of them. */
function checkRoot() {
  const { references } = JSON.parse(read('tsconfig.json'))
  const expected = [...names.map((name) => `packages/${name}`), 'apps/backend', 'monitoring'].sort()
  const actual = references.map(({ path }) => path).sort()
  expect(isDeepStrictEqual(actual, expected), 'tsconfig.json', `references to ${expected.join(', ')}`)
}

function expect(isMet, where, what) {
  if (!isMet) problems.push(`${where}: expected ${what}`)
}

function stemOf(name) {
  return name === 'metrics-core' ? 'core' : name.replace(/-metrics$/, '')
}

function exists(path) {
  return existsSync(new URL(path, root))
}

function read(path) {
  return readFileSync(new URL(path, root), 'utf8')
}

function readIfThere(path) {
  return exists(path) ? read(path) : ''
}

function readManifest(folder) {
  return JSON.parse(read(`${folder}/package.json`))
}
