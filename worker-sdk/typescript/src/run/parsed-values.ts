/**
 * Values that a schema turned out: the input, and answers to forms. They are parsed once. Where the
 * parsed value differs from what was sent it is on record, so that a default that is made up or a
 * stricter schema that was deployed later changes nothing for a run that is under way.
 */
import { isDeepStrictEqual } from "node:util";
import { StepKind } from "@pawl/proto";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { decode, digestText, encode, payloadOf, type ReceivedPayload } from "../codec/payload.ts";
import { exceedsBytes } from "../lib/text.ts";
import { limits } from "../limits.ts";
import { validate } from "../schema.ts";
import { isHere } from "./memo.ts";
import { isLarge, upload, wholePayload } from "./payload-uploads.ts";
import type { Run } from "./run.ts";
import { completedMessage, sentPayload, stepRecord } from "./step-messages.ts";
import { defaultSettings, type StepCall } from "./step-settings.ts";

/** The key under which the parsed input is recorded. */
const inputKey = "value:input";

/** The key under which a parsed answer is recorded. */
function answerKey(waitKey: string): string {
  const key = `value:answer:${waitKey}`;
  return exceedsBytes(key, limits.stepKeyBytesMax) ? `value:answer:${digestText(waitKey)}` : key;
}

function onRecord(run: Run, key: string): { readonly value: unknown } | undefined {
  const record = run.memo.take(key);
  if (record === undefined) return undefined;
  if (isHere(record)) return { value: decode(record.payload) };
  return { value: wholePayload(run, record).then(decode) };
}

/** Records the value ahead of whatever the run records next, unless it is as it was sent. */
function keep(run: Run, key: string, sent: unknown, parsed: unknown, what: string): unknown {
  if (isDeepStrictEqual(sent, parsed)) return sent;
  const encoded = encode(parsed, what);
  const call: StepCall = {
    name: key.slice(key.indexOf(":") + 1).split(":", 1)[0] ?? "",
    kind: StepKind.VALUE,
    body: () => undefined,
    args: [],
    settings: defaultSettings,
    inputDigest: "",
    input: undefined,
  };
  const attempt = run.memo.attempts(key) + 1;
  run.recordFirst(async () => {
    const output = isLarge(encoded) ? await upload(run.link, encoded, what) : payloadOf(encoded);
    const { seq } = await run.link.completed(
      completedMessage(run, key, call, attempt, output, 0, 0),
    );
    const payload = sentPayload(output);
    run.memo.remember(key, stepRecord(call, { seq, attempt, payload, failure: undefined }));
  });
  return encoded.decoded();
}

/** The workflow's input, as its schema turned it out when the run started. */
export async function parsedInput(
  run: Run,
  schema: StandardSchemaV1 | undefined,
  payload: ReceivedPayload | undefined,
  what: string,
): Promise<unknown> {
  const sent = decode(payload);
  if (schema === undefined) return sent;
  const recorded = onRecord(run, inputKey);
  if (recorded !== undefined) return recorded.value;
  // It was parsed before that, and turned out as it is.
  if (run.memo.lastWorkSeq > 0) return sent;
  return keep(run, inputKey, sent, await validate(schema, decode(payload), what), what);
}

/** An answer to the question with that key, as its schema turned it out when it came. */
export function parsedAnswer(
  run: Run,
  schema: StandardSchemaV1,
  {
    stepKey,
    seq,
    value,
  }: { readonly stepKey: string; readonly seq: number; readonly value: unknown },
  what: string,
): unknown {
  const key = answerKey(stepKey);
  const recorded = onRecord(run, key);
  if (recorded !== undefined) return recorded.value;
  if (run.memo.wasHandedOut(seq)) return value;
  const parsed = validate(schema, structuredClone(value), what);
  return parsed instanceof Promise
    ? parsed.then((late) => keep(run, key, value, late, what))
    : keep(run, key, value, parsed, what);
}
