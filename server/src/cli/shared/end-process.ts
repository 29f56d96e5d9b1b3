import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/** Ends a process with SIGTERM, or with SIGKILL if that takes longer than the time given in ms. Safe if it has ended. */
export async function endProcess(child: ChildProcess, patienceMs: number): Promise<void> {
  const hasEnded = child.exitCode !== null || child.signalCode !== null;
  if (hasEnded || child.pid === undefined) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), patienceMs);
  await ended;
  clearTimeout(late);
}
