/** The SDKs, and how their harness is started. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const sdkFolder = join(import.meta.dirname, "..", "..", "worker-sdk");

export interface Sdk {
  readonly name: string;
  /** The harness. */
  readonly command: readonly string[];
  /** Modes that it has besides `session`. */
  readonly modes: readonly string[];
}

/** An SDK that cannot be run here, and why. */
export interface Missing {
  readonly name: string;
  readonly why: string;
}

type Find = () => Omit<Sdk, "name"> | string;

const finders: Readonly<Record<string, Find>> = {
  typescript: () => ({
    command: [process.execPath, join(sdkFolder, "typescript", "conformance", "main.ts")],
    modes: ["poll"],
  }),
  python: () => {
    const folder = join(sdkFolder, "python");
    const main = join(folder, "conformance", "main.py");
    if (!existsSync(main)) return "it has no harness";
    const python = join(folder, ".venv", "bin", "python");
    if (!existsSync(python)) return "its environment is not there (worker-sdk/python/.venv)";
    return { command: [python, main], modes: [] };
  },
  go: () => {
    const folder = join(sdkFolder, "go");
    if (!existsSync(join(folder, "conformance", "main.go"))) return "it has no harness";
    const binary = join(folder, "conformance", "bin", "harness");
    try {
      execFileSync("go", ["build", "-o", binary, "./conformance"], { cwd: folder, stdio: "pipe" });
    } catch (error) {
      return `go build failed: ${error instanceof Error ? error.message : String(error)}`;
    }
    return { command: [binary], modes: [] };
  },
};

/**
 * The SDKs named in PAWL_SDKS (comma-separated; default: all), those that can be run here first.
 *
 * @throws where PAWL_REQUIRE names one that cannot be run
 */
export function findSdks(): { found: Sdk[]; missing: Missing[] } {
  const wanted = process.env.PAWL_SDKS?.split(",") ?? Object.keys(finders);
  const required = process.env.PAWL_REQUIRE?.split(",") ?? [];
  const found: Sdk[] = [];
  const missing: Missing[] = [];
  for (const name of wanted) {
    const result = finders[name]?.() ?? "it is not known";
    if (typeof result !== "string") found.push({ name, ...result });
    else if (required.includes(name))
      throw new Error(`The ${name} SDK is required, but ${result}.`);
    else missing.push({ name, why: result });
  }
  return { found, missing };
}
