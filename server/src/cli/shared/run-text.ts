/** What several commands share about runs. */
import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Event,
  type JournalEntry,
  type Payload,
  PayloadSchema,
  type Run,
  RunStatus,
  StatusReason,
} from "@pawl/proto";
import { nearest } from "../../lib/nearest.ts";
import { STATUSES } from "../catalog/common-options.ts";
import { describeFailure } from "../render/text.ts";
import type { Server } from "./client-command.ts";
import { usageError } from "./exit.ts";
import type { Style, Terminal } from "./terminal.ts";

export const ENDED: ReadonlySet<RunStatus> = new Set([
  RunStatus.COMPLETED,
  RunStatus.FAILED,
  RunStatus.CANCELLED,
]);

export function statusName(status: RunStatus): string {
  return RunStatus[status] ?? String(status);
}

const STATUS_STYLES: Readonly<Record<string, Style>> = {
  QUEUED: "cyan",
  RUNNING: "blue",
  WAITING: "cyan",
  PAUSED: "yellow",
  CANCELLING: "yellow",
  COMPLETED: "green",
  FAILED: "red",
  CANCELLED: "magenta",
};

/** Why the run has its status; empty if the status needs no reason. */
export function reasonName({ statusReason }: Run): string {
  return statusReason === StatusReason.UNSPECIFIED ? "" : (StatusReason[statusReason] ?? "");
}

/** The status in its color, padded before the color is applied. */
export function styledStatus(terminal: Terminal, status: RunStatus, width = 0): string {
  const name = statusName(status);
  const style = STATUS_STYLES[name];
  const padded = name.padEnd(width);
  return style === undefined ? padded : terminal.style(style, padded);
}

/** @throws CliError, exit code USAGE */
export function parseStatus(text: string): RunStatus {
  const found = STATUSES.find((name) => name === text.toUpperCase());
  if (found !== undefined) return RunStatus[found];
  const near = nearest(text.toUpperCase(), STATUSES);
  throw usageError(
    `There is no status "${text}".`,
    near === undefined ? `It must be one of ${STATUSES.join(", ")}.` : `Did you mean ${near}?`,
  );
}

export function ms(at: Timestamp | undefined): number | undefined {
  return at === undefined ? undefined : timestampMs(at);
}

/** All entries of a run's journal, page by page. */
export async function readJournal(server: Server, runId: string): Promise<JournalEntry[]> {
  const entries: JournalEntry[] = [];
  while (true) {
    const afterSeq = entries.at(-1)?.seq ?? 0;
    const page = await server.runs.getJournal({ runId, afterSeq });
    entries.push(...page.entries);
    if (!page.more || page.entries.length === 0) return entries;
  }
}

/** A run's events so far, with the cursor to continue from. */
export async function readEvents(
  server: Server,
  runId: string,
  after = "",
): Promise<{ events: Event[]; cursor: string }> {
  const events: Event[] = [];
  let cursor = after;
  while (true) {
    const page = await server.events.listEvents({ runId, afterCursor: cursor, pageSize: 1_000 });
    events.push(...page.events);
    cursor = page.events.at(-1)?.cursor ?? cursor;
    if (page.events.length === 0 || page.nextCursor === "") return { events, cursor };
  }
}

/** The payload with its data; large payloads only refer to theirs. */
export async function download(server: Server, payload: Payload): Promise<Payload> {
  if (payload.ref === undefined) return payload;
  const { sha256, size } = payload.ref;
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < size; ) {
    const { data } = await server.payloads.getPayload({ sha256, offset });
    if (data.byteLength === 0) throw new Error(`The payload ${sha256} ends at byte ${offset}.`);
    pieces.push(data);
    offset += data.byteLength;
  }
  return create(PayloadSchema, { encoding: payload.encoding, data: Buffer.concat(pieces) });
}

/** One line about why a run failed, waits or is paused; empty if there is nothing to say. */
export function whatHappened({ failure, statusDetail }: Run): string {
  const said = describeFailure(failure);
  if (said === "" || statusDetail.includes(said)) return statusDetail;
  return statusDetail === "" ? said : `${statusDetail} (${said})`;
}
