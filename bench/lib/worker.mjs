// The process that `Worker` starts. Arguments: the benchmark's file, the variant, the options.
const [file, variant, options] = process.argv.slice(2)
const { start } = await import(file)
const slice = await start(variant, JSON.parse(options))

process.on('message', async (args) => {
  try {
    process.send({ value: await slice(...args) })
  } catch (error) {
    process.send({ error: error.stack })
  }
})
process.on('disconnect', () => process.exit())
