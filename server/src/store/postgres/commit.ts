import { checksum, toColumns } from "../entry.ts";
import type { FlowWrite } from "../flow.ts";
import { headerValues, waitingText } from "../row.ts";
import type { Batch, RunWrite } from "../store.ts";
import { ANY_TIME, isPlain } from "../write.ts";
import type { Value } from "./arrays.ts";
import type { Statement } from "./connection.ts";
import * as flow from "./flow.ts";
import { Input, type InputTypes, source } from "./input.ts";
import type { Context } from "./sections.ts";
import * as section from "./sections.ts";
import type { InputName } from "./shapes.ts";
import { INPUT_NAMES, SHAPES } from "./shapes.ts";

/** The parts in the order of their dependence, each with the inputs that call for it. */
const PARTS: readonly (readonly [readonly InputName[], (context: Context) => string])[] = [
  [["wants"], section.lacking],
  [["advance"], section.advanced],
  [["patch"], section.patched],
  [["birth"], section.created],
  [["gone"], section.removed],
  [["advance", "patch", "birth", "gone"], section.confirmed],
  [["entry"], section.entries],
  [["patch", "tag"], section.tags],
  [["ready_put"], section.readyPut],
  [["ready_gone"], section.readyGone],
  [["lease_put"], section.leasePut],
  [["lease_gone"], section.leaseGone],
  [["due_put"], section.duePut],
  [["due_gone"], section.dueGone],
  [["due_clear"], section.dueClear],
  [["wait_put"], section.waitPut],
  [["wait_gone"], section.waitGone],
  [["assignee_put"], section.assigneePut],
  [["assignee_gone"], section.assigneeGone],
  [["payload_put"], section.payloadPut],
  [["payload_ref_put"], section.payloadRefPut],
  [["delta_put"], section.deltaPut],
  [["held_put"], flow.heldPut],
  [["held_gone"], flow.heldGone],
  [["gate_put"], flow.gatePut],
  [["nudge_put"], section.nudgePut],
];

/** Statements kept prepared on a connection; rarer combinations are planned each time. */
const PREPARED_MAX = 64;
const texts = new Map<string, Statement>();

/**
 * The one statement that applies a batch of writes; its rows are the `ord`s of the confirmed ones.
 * The text depends only on which inputs have rows, so that it is prepared once per combination.
 */
export function writeStatement(batch: Batch, types: InputTypes): Statement {
  const inputs = new Inputs();
  for (const ord of lockOrder(batch.writes)) {
    const write = batch.writes[ord];
    if (write !== undefined) addWrite(inputs, ord, write, batch.now);
  }
  return { ...statementFor(inputs.names), values: inputs.encode(types) };
}

/** By key: so that replicas that write the same runs never wait for each other in a circle. */
function lockOrder(writes: readonly RunWrite[]): number[] {
  const keys = writes.map(({ org, runId }) => `${org}\0${runId}`);
  return [...keys.keys()].sort((a, b) => {
    const [x = "", y = ""] = [keys[a], keys[b]];
    return x < y ? -1 : x > y ? 1 : a - b;
  });
}

/** Exported for the test that keeps the texts under snapshot. */
export function statementFor(names: readonly InputName[]): Statement {
  const key = names.join(" ");
  let statement = texts.get(key);
  if (statement === undefined) {
    const text = assemble(names);
    statement = texts.size < PREPARED_MAX ? { name: `write ${texts.size}`, text } : { text };
    if (texts.size < PREPARED_MAX) texts.set(key, statement);
  }
  return statement;
}

function assemble(names: readonly InputName[]): string {
  const sources = new Map(names.map((name, i) => [name, source(name, i + 1)]));
  const context: Context = {
    has: (name) => sources.has(name),
    from: (name) => sources.get(name) ?? "",
  };
  const parts = PARTS.filter(([calls]) => calls.some((name) => sources.has(name)));
  const ctes = parts.map(([, part]) => part(context));
  return `WITH ${ctes.join(",\n")}\nSELECT ord FROM confirmed`;
}

/** The rows of a batch, by input relation. */
class Inputs {
  readonly #inputs = new Map<InputName, Input>();

  add(name: InputName, ...row: readonly Value[]): void {
    let input = this.#inputs.get(name);
    if (input === undefined) {
      input = new Input(name, SHAPES[name]);
      this.#inputs.set(name, input);
    }
    input.add(row);
  }

  /** In the order of the shapes. */
  get names(): InputName[] {
    return INPUT_NAMES.filter((name) => this.#inputs.has(name));
  }

  encode(types: InputTypes): Buffer[] {
    return this.names.flatMap((name) => this.#inputs.get(name)?.encode(types) ?? []);
  }
}

function addWrite(inputs: Inputs, ord: number, write: RunWrite, now: number): void {
  const { org, runId } = write;
  addRun(inputs, ord, write);
  for (const entry of write.entries) {
    const e = toColumns(entry);
    const { seq, at, attempt, type, key, meta, encoding, sha256, size, data } = e;
    const crc = checksum(e);
    const payload = [encoding, sha256, size, data];
    inputs.add("entry", ord, org, runId, seq, at, attempt, crc, type, key, meta, ...payload);
  }
  if (isPlain(write)) return;
  const { ready, lease, nudge } = write;
  if (ready === "remove") inputs.add("ready_gone", ord, org, runId);
  else if (ready !== undefined) {
    const { queue, lane, rank, readyAt } = ready;
    inputs.add("ready_put", ord, org, runId, queue, lane, rank, readyAt);
  }
  if (lease === "remove") inputs.add("lease_gone", ord, org, runId);
  else if (lease !== undefined) {
    inputs.add("lease_put", ord, org, runId, lease.sessionId, lease.workerId, lease.until);
  }
  if (nudge !== undefined) inputs.add("nudge_put", ord, org, runId, nudge);
  for (const chunk of write.deltas ?? []) {
    const { fence, first, last, at, keep, steps, data } = chunk;
    const place = [fence, first, last, write.expect?.seq ?? 0];
    inputs.add("delta_put", ord, org, runId, ...place, at, keep ? 1 : 0, steps, data);
  }
  if (write.flow !== undefined) addFlow(inputs, ord, write, write.flow, now);
  addDue(inputs, ord, write);
  addWaits(inputs, ord, write);
  addPayloads(inputs, ord, write, now);
}

function addRun(inputs: Inputs, ord: number, write: RunWrite): void {
  const { org, runId, expect, seq, updatedAt, patch, insert } = write;
  if (expect === null) {
    if (insert === undefined) throw new TypeError("A write that expects no run must insert one.");
    inputs.add("birth", ord, ...headerValues(insert, seq, updatedAt));
    addTags(inputs, ord, insert.tags);
  } else if (write.deleteRun === true) {
    inputs.add("gone", ord, org, runId, expect.fence, expect.seq);
  } else if (patch !== undefined) {
    inputs.add(
      "patch",
      ord,
      org,
      runId,
      expect.fence,
      expect.seq,
      expect.intent ?? null,
      seq,
      updatedAt,
      patch.state,
      patch.reason,
      patch.intent,
      patch.fence,
      patch.attempt,
      patch.crashes,
      patch.startedAt,
      patch.endedAt,
      JSON.stringify(patch.tags),
      waitingText(patch),
    );
    addTags(inputs, ord, patch.tags);
  } else inputs.add("advance", ord, org, runId, expect.fence, expect.seq, seq, updatedAt);
}

function addTags(inputs: Inputs, ord: number, tags: Readonly<Record<string, string>>): void {
  for (const key in tags) inputs.add("tag", ord, key, tags[key] ?? "");
}

/** What is put anew is not removed as well: both would touch the same row in one statement. */
function addDue(inputs: Inputs, ord: number, write: RunWrite): void {
  const { org, runId, duePut } = write;
  for (const { kind, key, at, data } of duePut) {
    inputs.add("due_put", ord, org, runId, kind, key, at, data, 0);
  }
  for (const { runId: other, row } of write.dueElsewhere) {
    inputs.add("due_put", ord, org, other, row.kind, row.key, row.at, row.data, 1);
  }
  if (write.dueClear) inputs.add("due_clear", ord, org, runId);
  else {
    for (const { kind, key, upTo } of write.dueRemove) {
      inputs.add("due_gone", ord, org, runId, kind, key, upTo ?? ANY_TIME);
    }
  }
}

function addWaits(inputs: Inputs, ord: number, { org, runId, waits }: RunWrite): void {
  if (waits === undefined) return;
  for (const { key, kind, workflow, since, until, data, assignees } of waits.put) {
    inputs.add("wait_put", ord, org, runId, key, kind, workflow, since, until, data);
    for (const assignee of assignees ?? []) {
      inputs.add("assignee_put", ord, org, assignee, since, runId, key);
    }
  }
  for (const key of waits.unasked ?? []) inputs.add("assignee_gone", ord, org, runId, key);
  for (const { key, isQuestion } of waits.gone) {
    inputs.add("wait_gone", ord, org, runId, key);
    if (isQuestion) inputs.add("assignee_gone", ord, org, runId, key);
  }
}

function addFlow(
  inputs: Inputs,
  ord: number,
  { org, runId }: RunWrite,
  { hold, leave, gates }: FlowWrite,
  now: number,
): void {
  if (leave === true) inputs.add("held_gone", ord, org, runId);
  if (hold !== undefined) {
    const { gate, nextGate, nextCapacity, heldAt, fair, ready } = hold;
    const gates = [gate, nextGate, nextCapacity];
    const { rank, queue, lane } = ready;
    inputs.add("held_put", ord, org, runId, ...gates, rank, heldAt, fair, queue, lane);
  }
  for (const { name, capacity, periodMs, isLatest } of gates) {
    inputs.add("gate_put", ord, org, name, capacity, periodMs, now, isLatest ? 1 : 0);
  }
}

function addPayloads(inputs: Inputs, ord: number, write: RunWrite, now: number): void {
  const { org, runId, payloads, payloadRefs } = write;
  const own = new Set(payloads.map(({ sha256 }) => sha256));
  for (const { sha256, data } of payloads) {
    inputs.add("payload_put", ord, org, sha256, now, data.byteLength, data);
  }
  for (const { sha256 } of payloadRefs) {
    inputs.add("payload_ref_put", ord, org, sha256, runId);
    if (!own.has(sha256)) inputs.add("wants", ord, org, sha256);
  }
}
