import type { TimeSpent } from "./bench.ts";
import { formatNumber, formatTable } from "./report.ts";

/**
 * Where the time goes: the CPU time of each step by process and thread, and how much of the
 * machine was idle (waiting for the disk, or for one another).
 */
export function formatSpent(spent: readonly TimeSpent[], cores: number): string {
  const names = [...new Set(spent.flatMap(({ cpu }) => Object.keys(cpu)))].sort();
  if (names.length === 0) return "Where the time goes is known on Linux only.";
  const rows = spent.map(({ name, stepsPerSecond, cpu }) => {
    const used = Object.values(cpu).reduce((sum, us) => sum + us, 0);
    const there = (cores * 1e6) / stepsPerSecond;
    return [
      name,
      ...names.map((thread) => formatNumber(cpu[thread] ?? 0)),
      formatNumber(used),
      formatNumber(Math.max(0, there - used)),
    ];
  });
  return [
    `Where the time goes: µs of CPU per step, of ${cores} cores; the rest is idle or others'`,
    formatTable(["", ...names, "sum", "rest"], rows),
    ...explainRatios(spent),
  ].join("\n");
}

/** Each product row against its pipe row, thread by thread. */
function explainRatios(spent: readonly TimeSpent[]): string[] {
  return spent.flatMap((product) => {
    if (!product.name.startsWith("steps.")) return [];
    const pipe = spent.find(({ name }) => name === product.name.replace("steps.", "pipe."));
    if (pipe === undefined) return [];
    const threads = new Set([...Object.keys(product.cpu), ...Object.keys(pipe.cpu)]);
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
