import { BOUNDS } from "../../model/bounds.ts";
import type { EntryMeta } from "../../model/entry.ts";
import type { Payload } from "../../model/payload.ts";
import type { Draft } from "../draft.ts";
import type { StepIdentity } from "../steps/step-types.ts";

/** The part of an entry's meta that every step entry has; defaults are left out. */
export function stepMeta(step: StepIdentity, workerId: string): EntryMeta {
  const meta: EntryMeta = { worker: workerId, fence: step.fence };
  if (step.name !== "" && step.name !== step.key) meta.name = step.name;
  if (step.kind !== "step") meta.kind = step.kind;
  if (step.inputDigest !== "") meta.inputDigest = step.inputDigest;
  if (step.definitionDigest !== "") meta.definitionDigest = step.definitionDigest;
  const input = keptInput(step.input);
  if (input !== undefined) meta.input = input;
  return meta;
}

/** A small input, kept for people; a large one is known by its digest only. */
export function keptInput(input: Payload | undefined): EntryMeta["input"] {
  if (input?.data === undefined || input.data.byteLength > BOUNDS.keptInputBytes) return undefined;
  const bytes = Buffer.from(input.data.buffer, input.data.byteOffset, input.data.byteLength);
  return input.encoding === "bytes"
    ? { encoding: input.encoding, base64: bytes.toString("base64") }
    : { encoding: input.encoding, text: bytes.toString("utf8") };
}

/** Any recorded progress ends a series of crashes. */
export function noteProgress(draft: Draft): void {
  if (draft.header.crashes > 0) draft.patch({ crashes: 0 });
}
