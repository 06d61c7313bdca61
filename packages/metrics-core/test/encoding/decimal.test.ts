import t from 'tap'
import { LONGEST_NUMBER, writeNumber } from '../../src/encoding/decimal.ts'

t.test(
  'every number reads back unchanged, and is written in its shortest form where 15 digits are enough',
  async (t) => {
    const bytes = Buffer.alloc(LONGEST_NUMBER)
    const text = (value: number) => bytes.toString('latin1', 0, writeNumber(bytes, 0, value))
    const bits = new DataView(new ArrayBuffer(8))
    const neighbours = (value: number) => {
      bits.setFloat64(0, value)
      const pattern = bits.getBigInt64(0)
      return [-1n, 0n, 1n].map((step) => {
        bits.setBigInt64(0, pattern + step)
        return bits.getFloat64(0)
      })
    }
    const borders = [-8, -1, 0, 10, 26, 30, 31, 32, 52, 53, 54].map((power) => 2 ** power)
    for (let power = -9; power < 23; power += 1) borders.push(10 ** power, 10 ** power - 1, 10 ** power - 0.5)
    const values = [0, -0, 5e-324, Number.MAX_VALUE, 0.1 + 0.2, 123.456, ...borders.flatMap(neighbours)]
    for (let round = 0; round < 50_000; round += 1) {
      const random = Math.random()
      bits.setUint32(0, Math.random() * 2 ** 32)
      bits.setUint32(4, Math.random() * 2 ** 32)
      values.push(
        random,
        random * 10 ** Math.floor(Math.random() * 17),
        Math.floor(random * 2 ** 53),
        bits.getFloat64(0),
      )
    }
    const differing = values.filter((value) => !Number.isNaN(value) && Number(text(value)) !== value)
    t.strictSame(differing.slice(0, 10), [])
    const oneSided = values.filter((value) => value > 0 && text(-value) !== `-${text(value)}`)
    t.strictSame(oneSided.slice(0, 10), [])
    t.strictSame([NaN, Infinity, -Infinity].map(text), ['NaN', '+Inf', '-Inf'])
    for (let round = 0; round < 50_000; round += 1) {
      const short = Math.floor(Math.random() * 1e15) / 10 ** Math.floor(Math.random() * 15)
      if (text(short) !== `${short}`) return t.equal(text(short), `${short}`)
    }
  },
)
