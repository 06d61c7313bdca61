import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { askStat, createFragmentSize, type FileSystem } from '../src/fragment.ts'
import { readValue, skip, temporary } from './helpers.ts'

const EXT4 = 0xef53
const FUSE = 0x65735546
const OVERLAY = 0x794c7630
const XFS = 0x58465342
// The number of Btrfs as a processor with signed fields shows it.
const BTRFS = 0x9123683e | 0
const NFS = 0x6969

/** `stat -f` of real mounts, and the answers of `stat -f -c %S` there; `undefined` where nobody must be asked. */
const RECORDED: Array<{ what: string; fileSystem: FileSystem; answer?: number; expected: number | undefined }> = [
  { what: 'virtiofs', fileSystem: { type: FUSE, bsize: 1048576 }, answer: 4096, expected: 4096 },
  { what: 'virtiofs, Node.js 24.21', fileSystem: { type: FUSE, bsize: 1048576, frsize: 4096 }, expected: 4096 },
  { what: 'sshfs', fileSystem: { type: FUSE, bsize: 4096 }, answer: 4096, expected: 4096 },
  { what: 'NFS', fileSystem: { type: NFS, bsize: 1048576 }, answer: 1048576, expected: 1048576 },
  { what: 'an image without stat', fileSystem: { type: FUSE, bsize: 1048576 }, expected: undefined },
  { what: 'ext4', fileSystem: { type: EXT4, bsize: 1024 }, expected: 1024 },
  { what: 'XFS', fileSystem: { type: XFS, bsize: 4096 }, expected: 4096 },
  { what: 'Btrfs', fileSystem: { type: BTRFS, bsize: 4096 }, expected: 4096 },
  { what: 'overlay on ext4', fileSystem: { type: OVERLAY, bsize: 4096 }, expected: 4096 },
  { what: 'overlay on virtiofs', fileSystem: { type: OVERLAY, bsize: 1048576 }, answer: 4096, expected: 4096 },
]

t.test('blocks count in fragments, and the system is asked only where statfs does not tell', { skip }, async (t) => {
  for (const { what, fileSystem, answer, expected } of RECORDED) {
    let questions = 0
    const sizeOf = createFragmentSize('/mnt', async () => {
      questions += 1
      return answer
    })
    t.equal(await sizeOf(fileSystem), expected, what)
    t.equal(await sizeOf(fileSystem), expected, `${what}, the second sample`)
    t.equal(questions, answer === undefined && expected !== undefined ? 0 : 1, `questions about ${what}`)
  }
})

t.test('another file system at the path is asked about anew', { skip }, async (t) => {
  const answers = [4096, 512]
  const sizeOf = createFragmentSize('/mnt', async () => answers.shift())
  t.equal(await sizeOf({ type: FUSE, bsize: 1048576 }), 4096)
  t.equal(await sizeOf({ type: EXT4, bsize: 1024 }), 1024, 'unmounted')
  t.equal(await sizeOf({ type: FUSE, bsize: 65536 }), 512)
})

t.test('stat says the fragment size of a path, however it is called, and nothing of no path', { skip }, async (t) => {
  const folder = temporary(t)
  const expected = Number(spawnSync('stat', ['-f', '-c', '%S', folder], { encoding: 'utf8' }).stdout)
  t.equal(await askStat(folder), expected)
  t.equal(await askStat(path.join(folder, '--help')), undefined)
})

const canMount = spawnSync('unshare', ['-Urm', 'true'], { timeout: 60_000 }).status === 0
const skipMount = canMount ? false : 'needs the right to mount in a namespace of its own'

t.test('a mount whose fragments are smaller than its blocks shows what df shows', { skip: skipMount }, async (t) => {
  const folder = temporary(t)
  const fixture = fileURLToPath(new URL('fixtures/fuse.mjs', import.meta.url))
  const child = spawnSync(
    'unshare',
    // Without the loader that tap adds to NODE_OPTIONS.
    ['-Urm', 'env', '-u', 'NODE_OPTIONS', process.execPath, fixture, folder],
    { encoding: 'utf8', timeout: 120_000, killSignal: 'SIGKILL' },
  )
  t.equal(child.status, 0, child.stderr)
  const { mounted, faultsOfSample, hung, unmounted } = JSON.parse(child.stdout || 'null')
  if (mounted === undefined) return t.pass(child.stderr, { skip: 'needs /dev/fuse' })

  const { df, text } = mounted
  t.equal(readValue(text, 'system_disk_total_bytes'), df.size)
  t.equal(readValue(text, 'system_disk_used_bytes'), df.used)
  t.equal(readValue(text, 'system_disk_percent'), (100 * df.used) / (df.used + df.available))
  t.equal(readValue(text, 'system_disk_inodes_percent'), (100 * df.inodesUsed) / df.inodes)
  t.equal(faultsOfSample, 0, 'a later sample starts no child process')

  t.equal(readValue(hung.text, 'system_disk_total_bytes'), df.size, 'a server that hangs delays no scrape')
  t.equal(readValue(unmounted.text, 'system_disk_total_bytes'), unmounted.df.size, 'what lies below the mount')
})
