import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { debianTool, runTool, toolOrSkip } from '@data20/dev-services'
import { validate } from 'dockerfile-utils'
import t from 'tap'
import { parse } from 'yaml'
import { MONITORING, read } from './helpers.ts'

interface Service {
  image?: string
  build?: { context: string; dockerfile: string }
  profiles?: string[]
  ports?: Array<{ host_ip?: string; target: number }>
  volumes?: Array<{ type: string; source: string }>
  environment?: Record<string, string>
}

/** A name and a full version, not `latest` and not `3`. */
const PINNED = /^[\w.-]+(?:\/[\w.-]+)*:v?\d+\.\d+[\w.-]*$/

t.test('compose: images by tag, ports on this machine only, no default password', async (t) => {
  const tool = await toolOrSkip(t, () => debianTool('docker-compose', { suite: 'trixie' }))
  if (!tool) return
  const config = (env: Record<string, string>, ...args: string[]) =>
    runTool({ ...tool, env: { ...tool.env, ...env } }, ['-f', join(MONITORING, 'compose.yaml'), ...args], { cwd: '/' })
  const profiles = ['--profile', 'monitoring', '--profile', 'exporters']

  const without = await config({ GRAFANA_PASSWORD: '' }, ...profiles, 'config', '--quiet')
  t.not(without.code, 0)
  t.match(without.stderr, 'GRAFANA_PASSWORD')

  const { code, stdout, stderr } = await config({ GRAFANA_PASSWORD: 'secret' }, ...profiles, 'config', '--format=json')
  t.equal(code, 0, stderr)
  const { services, secrets } = JSON.parse(stdout) as {
    services: Record<string, Service>
    secrets: Record<string, { file: string }>
  }
  const byProfile = (wanted?: string) =>
    Object.keys(services)
      .filter((name) => services[name]!.profiles?.[0] === wanted)
      .sort()
  t.strictSame(byProfile(), ['backend'])
  t.strictSame(byProfile('monitoring'), ['alertmanager', 'grafana', 'prometheus'])
  t.strictSame(byProfile('exporters'), ['node-exporter', 'postgres-exporter', 'redis-exporter'])
  t.strictSame(
    Object.values(services)
      .flatMap(({ ports = [] }) => ports.map(({ host_ip, target }) => `${host_ip}:${target}`))
      .sort(),
    ['127.0.0.1:3000', '127.0.0.1:8001', '127.0.0.1:9090', '127.0.0.1:9093'],
  )
  for (const [name, { image, build, volumes = [], environment = {} }] of Object.entries(services)) {
    if (build) t.ok(existsSync(join(build.context, build.dockerfile)), `${name} has ${build.dockerfile}`)
    else t.match(image, PINNED, `${name} has a version`)
    for (const { source } of volumes.filter(({ type }) => type === 'bind'))
      t.ok(existsSync(source), `${name}: ${source}`)
    for (const [variable, value] of Object.entries(environment).filter(([variable]) =>
      /PASS|TOKEN|SECRET/.test(variable),
    ))
      t.equal(value, 'secret', `${variable} has no default`)
  }
  t.strictSame(Object.keys(secrets), ['dead_man_url', 'slack_url'])

  // Every target of Prometheus is a service.
  const targets = read('prometheus/prometheus.yml').match(/(?<=targets: \[')[\w-]+(?=:)/g) ?? []
  const optional = ['postgres', 'redis', 'node'].flatMap(
    (name) => read(`prometheus/targets/${name}.yml.example`).match(/(?<=targets: \[')[\w-]+(?=:)/g) ?? [],
  )
  for (const host of [...targets, ...optional].filter((host) => host !== 'localhost')) t.ok(host in services, host)
})

t.test('grafana is provisioned from what is mounted', async (t) => {
  const { services } = parse(read('compose.yaml')) as { services: Record<string, { volumes: string[] }> }
  const mounts = services.grafana!.volumes.map((volume) => volume.split(':')[1])
  const provider = parse(read('grafana/provisioning/dashboards/data20.yaml')) as {
    providers: Array<{ options: { path: string } }>
  }
  t.ok(mounts.includes(provider.providers[0]!.options.path))
  t.match(read('grafana/provisioning/datasources/prometheus.yaml'), 'http://prometheus:9090')
})

t.test('Dockerfile', async (t) => {
  const text = read('Dockerfile')
  t.strictSame(lintDockerfile(text), [])

  t.test('the lint notices what is wrong', async (t) => {
    const wrong: Array<[finding: string, text: string]> = [
      ['Unknown instruction', text.replace('WORKDIR /app', 'WORKDIRS /app')],
      ['runs as root', text.replace('USER node', '')],
      ['runs as root', text.replace('USER node', 'USER node\nUSER root')],
      ['is not pinned', text.replaceAll('node:22.20-bookworm-slim', 'node:latest')],
      ['is not pinned', text.replaceAll('node:22.20-bookworm-slim', 'node')],
      ['ADD', text.replace('COPY . .', 'ADD http://localhost/a.tar .')],
      ['secret', text.replace('ENV NODE_ENV', 'ENV METRICS_TOKEN=1234 NODE_ENV')],
      ['secret', text.replace('WORKDIR /src', 'ARG NPM_PASSWORD\nWORKDIR /src')],
      ['HEALTHCHECK', text.replace('HEALTHCHECK', '# HEALTHCHECK').replace('  CMD ["node", "-e"', '#')],
      ['only be one CMD', `${text}CMD ["true"]\n`],
      ['without a shell', text.replace('CMD ["node", "dist/server.js"]', 'CMD node dist/server.js')],
    ]
    for (const [finding, changed] of wrong) {
      t.not(changed, text)
      t.ok(
        lintDockerfile(changed).some((line) => line.includes(finding)),
        finding,
      )
    }
  })
})

/**
 * Checks syntax and deprecations with dockerfile-utils, and some rules of hadolint, which is in neither npm nor Debian.
 */
function lintDockerfile(text: string): string[] {
  const findings = validate(text).map(({ range, message }) => `${range.start.line + 1}: ${message}`)
  const lines = text.replace(/\\\n/g, '').split('\n')
  const arguments_ = (instruction: string) =>
    lines.filter((line) => line.startsWith(`${instruction} `)).map((line) => line.slice(instruction.length + 1))
  for (const image of arguments_('FROM')) {
    if (!PINNED.test(image.split(' ')[0]!)) findings.push(`${image} is not pinned by a tag with a version`)
  }
  const last = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')))
  const users = last.filter((line) => line.startsWith('USER '))
  if (users.length === 0 || /root|\b0\b/.test(users.at(-1)!)) findings.push('the container runs as root')
  if (!last.some((line) => line.startsWith('HEALTHCHECK '))) findings.push('there is no HEALTHCHECK')
  if (arguments_('ADD').length > 0) findings.push('ADD fetches and unpacks: use COPY')
  if ([...arguments_('ENV'), ...arguments_('ARG')].some((value) => /PASSWORD|TOKEN|SECRET|_KEY/.test(value)))
    findings.push('a secret would stay in the image')
  for (const command of arguments_('CMD')) {
    if (!command.startsWith('[')) findings.push('CMD has to be started without a shell, to get the signals')
  }
  return findings
}
