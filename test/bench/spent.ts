import type { Bench, TimeSpent } from "./bench.ts";
import { formatNumber, formatTable } from "./report.ts";

const idle = "idle";

/**
 * Where the time goes: the CPU time of each step by process and thread, and how much of the
 * machine was idle (waiting for the disk, or for one another).
 */
export function formatSpent(spent: readonly TimeSpent[], cores: number): string {
  const names = [...new Set(spent.flatMap(({ cpu }) => Object.keys(cpu)))]
    .filter((name) => name !== idle)
    .sort();
  if (names.length === 0) return "Where the time goes is known on Linux only.";
  const rows = spent.map(({ name, stepsPerSecond, cpu }) => {
    const used = names.reduce((sum, thread) => sum + (cpu[thread] ?? 0), 0);
    const others = (cores * 1e6) / stepsPerSecond - used - (cpu[idle] ?? 0);
    return [
      name,
      ...names.map((thread) => formatNumber(cpu[thread] ?? 0)),
      formatNumber(used),
      formatNumber(cpu[idle] ?? 0),
      formatNumber(Math.max(0, others)),
    ];
  });
  return [
    `Where the time goes: µs per step on ${cores} cores. Idle: everybody waited, for the disk or for`,
    "one another. Others: all other programs and the kernel; where that is much, mind the figures.",
    formatTable(["", ...names, "sum", "idle", "others"], rows),
    ...explainRatios(spent),
  ].join("\n");
}

/** Of whole runs: the CPU time of each run by process and thread. */
export function formatSpentPerRun(spent: readonly TimeSpent[]): string {
  const names = [...new Set(spent.flatMap(({ cpu }) => Object.keys(cpu)))]
    .filter((name) => name !== idle)
    .sort();
  if (names.length === 0) return "Where the time of whole runs goes is known on Linux only.";
  const rows = spent.map(({ name, cpu }) => [
    name,
    ...names.map((thread) => formatNumber(cpu[thread] ?? 0)),
    formatNumber(names.reduce((sum, thread) => sum + (cpu[thread] ?? 0), 0)),
    formatNumber(cpu[idle] ?? 0),
  ]);
  return [
    "Where the time of whole runs goes: µs per run, from its start to its result.",
    formatTable(["", ...names, "sum", "idle"], rows),
  ].join("\n");
}

/** The engine thread's time per run, a column for each load. */
export function formatParts(all: Bench["parts"]): string {
  const parts = [...new Set(all.flatMap(({ parts }) => Object.keys(parts)))].sort();
  const rows = parts.map((part) => [
    part,
    ...all.map(({ parts }) => formatNumber(parts[part] ?? 0)),
  ]);
  const sums = all.map(({ parts }) =>
    formatNumber(Object.values(parts).reduce((sum, us) => sum + us, 0)),
  );
  return [
    "The server's engine thread: µs of CPU per run by part. A part has what its own code takes;",
    "what all of them share is below.",
    formatTable(["part", ...all.map(({ name }) => name)], [...rows, ["sum", ...sums]]),
  ].join("\n");
}

/** Each product row against its pipe row, thread by thread. */
function explainRatios(spent: readonly TimeSpent[]): string[] {
  return spent.flatMap((product) => {
    if (!product.name.startsWith("steps.")) return [];
    const pipe = spent.find(({ name }) => name === product.name.replace("steps.", "pipe."));
    if (pipe === undefined) return [];
    const threads = new Set([...Object.keys(product.cpu), ...Object.keys(pipe.cpu)]);
    threads.delete(idle);
    const parts = [...threads].map((thread) => {
      const more = (product.cpu[thread] ?? 0) - (pipe.cpu[thread] ?? 0);
      return `${thread} ${more < 0 ? "−" : "+"}${formatNumber(Math.abs(more))}`;
    });
    const ratio = product.stepsPerSecond / pipe.stepsPerSecond;
    return [
      `${product.name} is ${formatNumber(ratio)} × its pipe; µs per step: ${parts.join(", ")}`,
    ];
  });
}
