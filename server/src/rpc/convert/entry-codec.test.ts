/**
 * Goal: an entry that is written in the contract's words and read again is the same entry.
 * Method: random entries of every type from a printed seed, also through the contract's JSON, in which
 * runs are exported. PAWL_SEED repeats them.
 */
import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { JournalEntrySchema } from "@pawl/proto";
import { expect, test } from "vitest";
import { Random } from "../../../../test/chaos/random.ts";
import {
  ENTRY_TYPES,
  type Entry,
  type EntryMeta,
  type EntryType,
  type Failure,
  STEP_KINDS,
  WAIT_OUTCOMES,
} from "../../model/entry.ts";
import type { Payload } from "../../model/payload.ts";
import { QUESTION_TYPES, type Question } from "../../model/question.ts";
import { entryIn, entryOut } from "./entry-codec.ts";

const seed = Number(process.env.PAWL_SEED ?? Math.floor(Math.random() * 2 ** 31));
const EACH = 100;

class Entries {
  readonly #random = new Random(seed);

  entry(type: EntryType): Entry {
    const key = this.#random.chance(0.7) ? this.#text() : "";
    const payload = this.#random.chance(0.5) ? this.#payload() : undefined;
    const attempt = this.#random.int(0, 9);
    const seq = this.#random.int(1, 1_000_000);
    return { seq, at: this.#time(), type, key, attempt, meta: this.#meta(type, key), payload };
  }

  #meta(type: EntryType, key: string): EntryMeta {
    if (type === "run.tags.changed") return { details: { actor: this.#text(), why: this.#text() } };
    const name = this.#text();
    const kind = this.#random.pick(STEP_KINDS);
    const all: Required<Omit<EntryMeta, "retryPolicy" | "timeoutMs" | "requestId" | "payloadSeq">> =
      {
        name: name === key ? `${name}!` : name,
        kind: kind === "step" ? "sleep" : kind,
        worker: this.#text(),
        fence: this.#random.int(1, 2 ** 30),
        ms: this.#random.int(1, 100_000) / 8,
        inputDigest: this.#text(),
        definitionDigest: this.#text(),
        input: this.#input(),
        failure: this.#failure(),
        until: this.#time(),
        outcome: this.#random.pick(WAIT_OUTCOMES),
        atMostOnce: true,
        signalName: this.#text(),
        signalId: this.#text(),
        childRunId: this.#text(),
        superseded: this.#texts(),
        failedKeys: this.#texts(),
        deltas: this.#random.int(1, 1_000),
        reason: this.#text(),
        closed: this.#random.pick(["lost", "withdrawn", "cancelled"]),
        returned: this.#text(),
        compensations: this.#texts(),
        undone: this.#random.chance(0.3) ? "unknown" : this.#texts(),
        actor: this.#text(),
        details: { version: this.#text(), answers: JSON.stringify(this.#texts()) },
        question: this.#question(),
        cron: this.#text(),
        timeZone: this.#text(),
        resolutionId: this.#text(),
        via: this.#random.pick(["api", "link", "callback"]),
        comment: this.#text(),
        approved: this.#random.chance(0.5),
      };
    const some = Object.entries(all).filter(([field]) => {
      // An entry about the whole run has neither name nor kind.
      if (key === "" && field === "kind") return false;
      return this.#random.chance(0.4);
    });
    return Object.fromEntries(some);
  }

  #text(): string {
    return this.#random.pick(["a", "order/1", "ü", "step:2", "𝄞 and more", '{"a":[1]}', "lost"]);
  }

  #texts(): string[] {
    return Array.from({ length: this.#random.int(0, 3) }, () => this.#text());
  }

  #time(): number {
    return 1_700_000_000_000 + this.#random.int(0, 100_000_000);
  }

  #payload(): Payload {
    if (this.#random.chance(0.2))
      return { encoding: "json", ref: { sha256: "a".repeat(64), size: 70_000 } };
    const data = new TextEncoder().encode(JSON.stringify(this.#text()));
    return this.#random.chance(0.2)
      ? { encoding: "void", data: new Uint8Array(0) }
      : { encoding: this.#random.pick(["json", "bytes", "json+pawl"]), data };
  }

  #input(): NonNullable<EntryMeta["input"]> {
    return this.#random.chance(0.5)
      ? { encoding: "json", text: JSON.stringify(this.#text()) }
      : { encoding: "bytes", base64: Buffer.from(this.#text()).toString("base64") };
  }

  #failure(depth = 0): Failure {
    return {
      type: this.#text(),
      message: this.#text(),
      ...(this.#random.chance(0.5) && { stack: this.#text() }),
      ...(this.#random.chance(0.3) && { nonRetryable: true }),
      ...(this.#random.chance(0.3) && { retryAfterMs: this.#random.int(1, 100_000) }),
      ...(this.#random.chance(0.3) && {
        details: { encoding: "json", data: Buffer.from(this.#text()).toString("base64") },
      }),
      ...(depth < 3 && this.#random.chance(0.3) && { cause: this.#failure(depth + 1) }),
    };
  }

  #question(): Question {
    return {
      prompt: this.#text(),
      type: this.#random.pick(QUESTION_TYPES),
      ...(this.#random.chance(0.3) && { options: [{ value: this.#text(), label: "" }] }),
      ...(this.#random.chance(0.3) && { allowCustom: true }),
      ...(this.#random.chance(0.3) && { skippable: true }),
      ...(this.#random.chance(0.3) && { formSchema: "{}" }),
      ...(this.#random.chance(0.3) && { assignees: [this.#text()] }),
      ...(this.#random.chance(0.3) && { approvalsNeeded: this.#random.int(2, 5) }),
      ...(this.#random.chance(0.3) && { remindersMs: [1, 2_000] }),
    };
  }
}

const entries = new Entries();

test.each(ENTRY_TYPES)(`%s is the same after a round trip; seed ${seed}`, (type) => {
  for (let i = 0; i < EACH; i += 1) {
    const entry = entries.entry(type);
    const written = entryOut(entry);
    expect(entryIn(written)).toEqual(entry);
    const text = toJsonString(JournalEntrySchema, written);
    expect(entryIn(fromJsonString(JournalEntrySchema, text))).toEqual(entry);
  }
});

test("an entry of a type that is not known is refused", () => {
  const written = { ...entryOut(entries.entry("run.started")), type: "run.dreamt" };
  expect(() => entryIn(written)).toThrow("is run.dreamt, which this version of Pawl does not know");
});
