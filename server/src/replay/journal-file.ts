/**
 * A run in a file: the run and its journal in the contract's own JSON, which keeps every byte, with
 * payloads that are kept apart put in. `pawl export` writes it.
 */
import { create, fromJson, type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import {
  GetJournalResponseSchema,
  GetRunResponseSchema,
  type JournalEntry,
  type Run,
  RunSchema,
} from "@pawl/proto";

/** Raised when an older Pawl could not read the file. */
export const FORMAT = 1;

export interface RecordedRun {
  readonly run: Run;
  /** From the first on, gapless. */
  readonly entries: readonly JournalEntry[];
}

/** A file that is not a journal; the message says what it is instead. */
export class JournalFileError extends Error {
  override readonly name = "JournalFileError";
}

export function formatJournal({ run, entries }: RecordedRun): string {
  const head = toJson(GetRunResponseSchema, create(GetRunResponseSchema, { run }));
  const body = toJson(
    GetJournalResponseSchema,
    create(GetJournalResponseSchema, { entries: [...entries] }),
  );
  return `${JSON.stringify({ format: FORMAT, ...object(head), ...object(body) }, undefined, 2)}\n`;
}

/**
 * The journals of a file: one, or one in each line.
 *
 * @throws JournalFileError
 */
export function parseJournals(text: string): RecordedRun[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length < 2 || !lines.every((line) => line.startsWith("{") && line.length > 2))
    return [parseJournal(text)];
  return lines.map((line, i) => {
    try {
      return parseJournal(line);
    } catch (cause) {
      if (!(cause instanceof JournalFileError)) throw cause;
      throw new JournalFileError(`line ${i + 1}: ${cause.message}`, { cause });
    }
  });
}

/** @throws JournalFileError */
export function parseJournal(text: string): RecordedRun {
  let json: JsonValue;
  try {
    json = JSON.parse(text) as JsonValue;
  } catch (cause) {
    throw new JournalFileError("it is not JSON", { cause });
  }
  if (typeof json !== "object" || json === null || Array.isArray(json) || !("entries" in json)) {
    throw new JournalFileError("it has no `entries`; `pawl export RUN` writes such a file");
  }
  if (typeof json.format === "number" && json.format > FORMAT) {
    throw new JournalFileError(
      `its format is ${json.format}, and this Pawl reads up to ${FORMAT}: use a newer one`,
    );
  }
  const lenient = { ignoreUnknownFields: true };
  try {
    const { run } = fromJson(GetRunResponseSchema, { run: json.run ?? {} }, lenient);
    const { entries } = fromJson(GetJournalResponseSchema, { entries: json.entries }, lenient);
    checkWhole(entries);
    return { run: run ?? create(RunSchema), entries };
  } catch (cause) {
    if (cause instanceof JournalFileError) throw cause;
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new JournalFileError(`it is not a journal: ${said}`, { cause });
  }
}

function checkWhole(entries: readonly JournalEntry[]): void {
  if (entries.length === 0) throw new JournalFileError("its journal is empty");
  for (const [i, { seq, payload }] of entries.entries()) {
    if (seq !== i + 1) throw new JournalFileError(`entry ${i + 1} of its journal is missing`);
    if (payload?.ref !== undefined && payload.data.byteLength === 0) {
      throw new JournalFileError(
        `the payload of entry ${seq} is not in it; \`pawl export\` writes files with all of them`,
      );
    }
  }
}

function object(json: JsonValue): JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json) ? json : {};
}
