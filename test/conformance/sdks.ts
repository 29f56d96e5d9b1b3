/** The SDKs, and how their harness is started. */
import { existsSync } from "node:fs";
import { join } from "node:path";

const sdkFolder = join(import.meta.dirname, "..", "..", "worker-sdk");

export interface Sdk {
  readonly name: string;
  /** The harness. */
  readonly command: readonly string[];
  /** Modes that it has besides `stream`. */
  readonly modes: readonly string[];
}

/** `pnpm test` makes the suites ready before anything else; this file only looks. */
function unprepared(name: string): string {
  return `it is not ready; \`npx -y pnpm@12 test --suite ${name}\` makes it so`;
}

type Find = () => Omit<Sdk, "name"> | string;

const finders: Readonly<Record<string, Find>> = {
  typescript: () => ({
    command: [process.execPath, join(sdkFolder, "typescript", "conformance", "main.ts")],
    modes: ["poll"],
  }),
  python: () => {
    const folder = join(sdkFolder, "python");
    const python = join(folder, ".venv", "bin", "python");
    const main = join(folder, "conformance", "main.py");
    if (!existsSync(main) || !existsSync(python)) return unprepared("python");
    return { command: [python, main], modes: ["poll"] };
  },
  go: () => {
    const binary = join(sdkFolder, "go", "bin", "conformance");
    return existsSync(binary) ? { command: [binary], modes: ["poll"] } : unprepared("go");
  },
};

/** The SDKs that can be run here. */
export function foundSdks(): Sdk[] {
  return Object.keys(finders).flatMap((name) => {
    const sdk = findSdk(name);
    return typeof sdk === "string" ? [] : [sdk];
  });
}

/** The SDK, or why it cannot be run here. */
export function findSdk(name: string): Sdk | string {
  const result = finders[name]?.() ?? "it is not known";
  return typeof result === "string" ? result : { name, ...result };
}
