/** Runs `pawl` as its users do: a process with arguments, output and an exit code. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { serverMain, withoutPawl } from "../harness/server.ts";

export interface CliResult {
  code: number;
  out: string;
  err: string;
}

export interface CliOptions {
  /** PAWL_HTTP_URL. */
  url?: string;
  cwd?: string;
  env?: Readonly<Record<string, string>>;
  input?: string;
}

/** Resolves when the command has ended. */
export async function pawl(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const url = options.url === undefined ? {} : { PAWL_HTTP_URL: options.url };
  const child = spawn(process.execPath, [serverMain, ...args], {
    cwd: options.cwd,
    env: { ...withoutPawl(process.env), ...url, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.end(options.input ?? "");
  const [out, err] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close"),
  ]);
  return { code: child.exitCode ?? -1, out, err };
}

/** The error that `--json` printed. */
export function errorOf(result: CliResult): {
  reason: string;
  message: string;
  metadata: Record<string, string>;
} {
  const { error } = JSON.parse(result.out) as {
    error: { reason: string; message: string; metadata: Record<string, string> };
  };
  return error;
}
