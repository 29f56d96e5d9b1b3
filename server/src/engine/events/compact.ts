/** What a late comer gets of the deltas that are still open: each stream as little as it can be. Pure. */
import type { DeltaEvent } from "../../model/delta.ts";
import type { PlacedDelta } from "./merge.ts";

/** A delta that stands for `merged` of its stream, itself the last of them. */
export interface MergedDelta extends PlacedDelta {
  readonly merged: number;
}

interface Stream {
  first: number;
  last: PlacedDelta;
  /** Texts to be joined; undefined: the last one says it all, or the stream is not of texts. */
  texts: string[] | undefined;
  merged: number;
}

/** Types of which only the latest matters. */
const LATEST: ReadonlySet<string> = new Set(["progress"]);

/** Texts of one stream become one text, of progress the latest stays, all else stays as it is. */
export function compact(deltas: readonly PlacedDelta[]): MergedDelta[] {
  const streams = new Map<string, Stream>();
  const out: { order: number; delta: MergedDelta }[] = [];
  for (const [order, delta] of deltas.entries()) {
    const { event } = delta;
    const text = textOf(event);
    if (text === undefined && !LATEST.has(event.type)) {
      out.push({ order, delta: { ...delta, merged: 1 } });
      continue;
    }
    const name = [
      event.type,
      event.attempt,
      event.contentIndex,
      event.parentEventId,
      event.key,
    ].join("\n");
    const stream = streams.get(name);
    if (stream === undefined) {
      const texts = text === undefined ? undefined : [text];
      streams.set(name, { first: order, last: delta, texts, merged: 1 });
    } else {
      stream.last = delta;
      stream.merged += 1;
      if (text !== undefined) stream.texts?.push(text);
    }
  }
  for (const { first, last, texts, merged } of streams.values()) {
    const event = texts === undefined || merged === 1 ? last.event : joined(last.event, texts);
    out.push({ order: first, delta: { ...last, event, merged } });
  }
  return out.sort((a, b) => a.order - b.order).map(({ delta }) => delta);
}

/** The text of a delta whose payload is a JSON string. */
function textOf({ type, payload }: DeltaEvent): string | undefined {
  if (LATEST.has(type) || payload?.data === undefined) return undefined;
  if (payload.encoding !== "json" || payload.data[0] !== 0x22) return undefined;
  const value: unknown = JSON.parse(Buffer.from(payload.data).toString("utf8"));
  return typeof value === "string" ? value : undefined;
}

function joined(event: DeltaEvent, texts: readonly string[]): DeltaEvent {
  const data = Buffer.from(JSON.stringify(texts.join("")));
  return { ...event, payload: { encoding: "json", data } };
}
