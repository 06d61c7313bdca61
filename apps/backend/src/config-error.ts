/** A setting that cannot work; the message names the variable and fits one line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}
