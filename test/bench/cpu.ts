/** CPU time by process and thread, read from outside through Linux's /proc. */
import { readdirSync, readFileSync } from "node:fs";

/** Linux reports CPU time in ticks of this many ms on every architecture that Node runs on. */
const tickMs = 10;

/** CPU time, user and system, in ms by a name such as `server main`. */
export type CpuTimes = Readonly<Record<string, number>>;

/** Whether this platform tells. */
export const hasCpuTimes = process.platform === "linux";

/**
 * The CPU time so far of a Node process: `main` for its JavaScript thread, `store` for the thread
 * of the embedded store, `other` for garbage collection, compilation and file access.
 */
export function readNodeTimes(pid: number, prefix: string): CpuTimes {
  const times: Record<string, number> = {};
  for (const thread of list(`/proc/${pid}/task`)) {
    const stat = readStat(`/proc/${pid}/task/${thread}/stat`);
    if (stat === undefined) continue;
    const isMain = Number(thread) === pid;
    const name = isMain ? "main" : stat.command.startsWith("pawl-store") ? "store" : "other";
    times[`${prefix} ${name}`] = (times[`${prefix} ${name}`] ?? 0) + stat.ms;
  }
  return times;
}

/** The CPU time so far of all children of a process, as PostgreSQL's backends are. */
export function readChildTimes(pid: number, name: string): CpuTimes {
  let ms = 0;
  for (const other of list("/proc")) {
    if (!/^\d+$/.test(other)) continue;
    const stat = readStat(`/proc/${other}/stat`);
    if (stat?.parent === pid || Number(other) === pid) ms += stat?.ms ?? 0;
  }
  return { [name]: ms };
}

/** How long the cores have done nothing so far, all added up, in ms. */
export function readIdleTimes(): CpuTimes {
  if (!hasCpuTimes) return {};
  const fields = readFileSync("/proc/stat", "utf8").split("\n")[0]?.split(/\s+/) ?? [];
  return { idle: (Number(fields[4]) + Number(fields[5])) * tickMs };
}

/** What was used between two readings. */
export function subtractTimes(after: CpuTimes, before: CpuTimes): CpuTimes {
  return Object.fromEntries(
    Object.entries(after).map(([name, ms]) => [name, ms - (before[name] ?? 0)]),
  );
}

/** The resident memory of a process in MB (of 1,000,000 bytes); `undefined` where it is not told. */
export function readResidentMb(pid: number): number | undefined {
  if (!hasCpuTimes) return undefined;
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return kib === undefined ? undefined : (Number(kib) * 1024) / 1e6;
}

function readStat(path: string): { command: string; parent: number; ms: number } | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    // It has ended since it was listed.
    return undefined;
  }
  // The command is in parentheses and may contain any character.
  const end = text.lastIndexOf(")");
  const fields = text.slice(end + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return {
    command: text.slice(text.indexOf("(") + 1, end),
    parent: Number(fields[1]),
    ms: ticks * tickMs,
  };
}

function list(folder: string): string[] {
  return hasCpuTimes ? readdirSync(folder) : [];
}
