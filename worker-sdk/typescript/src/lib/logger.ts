/** Where the SDK writes what happens to it; never payloads. */
export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

function write(level: string) {
  return (message: string, fields?: Readonly<Record<string, unknown>>) => {
    const data = fields === undefined ? "" : ` ${JSON.stringify(fields)}`;
    process.stderr.write(`pawl ${level}: ${message}${data}\n`);
  };
}

function ignore(): void {
  // Below the level that this logger shows.
}

/** Everything but debugging, a line each, to standard error. */
export const defaultLogger: Logger = {
  debug: ignore,
  info: write("info"),
  warn: write("warn"),
  error: write("error"),
};

/** Says nothing. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
