/** Whether what the demonstration shows is true: the journal against what the steps really did. */
import type { Execution } from "../digest/audit.ts";
import type { History, StepHistory } from "./history.ts";
import { count } from "./screen.ts";

/** One thing that was checked. */
export interface Finding {
  readonly ok: boolean;
  readonly text: string;
}

export interface Evidence {
  readonly history: History;
  /** Every entry into a step's body, noted by the workers in a file of their own. */
  readonly executions: readonly Execution[];
  readonly killed: { readonly name: string; readonly pid: number };
  /** The report of the run, and that of the workflow called as a plain function. */
  readonly report: string;
  readonly plainReport: string;
}

/** Checks all of it; nothing is left out when something fails. */
export function checkRun(evidence: Evidence): Finding[] {
  const { history } = evidence;
  const replayed = history.steps.filter((step) => step.replayed);
  const others = history.steps.filter((step) => !step.replayed);
  return [
    checkJournal(history),
    checkReplayed(evidence, replayed),
    checkOthers(evidence, others),
    checkReport(evidence),
  ];
}

function checkJournal({ entries, steps, outcome }: History): Finding {
  const gapless = entries.every(({ seq }, i) => seq === i + 1);
  const keys = new Set(steps.map(({ key }) => key));
  if (outcome !== "run.completed") return { ok: false, text: `The run ended with ${outcome}.` };
  if (!gapless) return { ok: false, text: "The journal's numbers have a gap." };
  if (keys.size !== steps.length) return { ok: false, text: "A step was recorded twice." };
  return {
    ok: true,
    text: `The journal has ${entries.length} entries without a gap, and each of the ${count(steps.length, "step")} once.`,
  };
}

/** Steps that were recorded before the kill ran in the killed worker, once, and never again. */
function checkReplayed(
  { executions, killed, history }: Evidence,
  replayed: readonly StepHistory[],
): Finding {
  if (history.recovery === undefined) {
    return { ok: false, text: "The run did not lose its worker." };
  }
  const wrong = replayed.filter(({ key }) => {
    const pids = pidsOf(executions, key);
    return pids.length !== 1 || pids[0] !== killed.pid;
  });
  if (wrong.length > 0) return { ok: false, text: `Not executed exactly once: ${keysOf(wrong)}` };
  return {
    ok: true,
    text: `The ${count(replayed.length, "step")} recorded before the kill ran once, on ${killed.name}, and never again.`,
  };
}

/** All others ran once after the kill, and those that it cut off once before, too. */
function checkOthers(
  { executions, killed, history }: Evidence,
  others: readonly StepHistory[],
): Finding {
  const cutOff: StepHistory[] = [];
  const wrong: StepHistory[] = [];
  for (const step of others) {
    const pids = pidsOf(executions, step.key);
    const before = pids.filter((pid) => pid === killed.pid).length;
    if (pids.length - before !== 1 || before > 1) wrong.push(step);
    else if (before === 1) cutOff.push(step);
  }
  const recorded = new Set(history.steps.map(({ key }) => key));
  const unrecorded = executions.filter(({ stepKey }) => !recorded.has(stepKey));
  if (unrecorded.length > 0) {
    return { ok: false, text: `Ran and was not recorded: ${unrecorded[0]?.stepKey}` };
  }
  if (wrong.length > 0) return { ok: false, text: `Executed too often: ${keysOf(wrong)}` };
  const rest = others.length - cutOff.length;
  return {
    ok: true,
    text: `The ${count(cutOff.length, "step")} that it cut off ran again; the other ${rest} ran once.`,
  };
}

function checkReport({ report, plainReport }: Evidence): Finding {
  if (report === plainReport) {
    return {
      ok: true,
      text: "The report is, byte for byte, that of the same function called without a server.",
    };
  }
  return { ok: false, text: "The report is not that of the same function without a server." };
}

function pidsOf(executions: readonly Execution[], key: string): number[] {
  return executions.filter(({ stepKey }) => stepKey === key).map(({ pid }) => pid);
}

function keysOf(steps: readonly StepHistory[]): string {
  return steps.map(({ key }) => key).join(", ");
}
