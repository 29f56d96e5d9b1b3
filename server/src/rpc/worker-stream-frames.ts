/** The frames that the server sends, with about how large each is when encoded. */
import { create } from "@bufbuild/protobuf";
import {
  type Payload as PayloadProto,
  type Reply,
  type ServerFrame,
  ServerFrameSchema,
} from "@pawl/proto";
import type {
  ConnectionSink,
  LeaseAnswer,
  WorkerConnection,
  WorkItem,
} from "../engine/engine-api.ts";
import { VERSION } from "../lib/version.ts";
import { BOUNDS } from "../model/bounds.ts";
import type { Entry } from "../model/entry.ts";
import type { Payload } from "../model/payload.ts";
import { duration } from "./convert/common-messages.ts";
import { entryOut } from "./convert/entry-codec.ts";
import { leaseOut, leaseResultOut, workItemOut } from "./convert/worker-messages.ts";
import type { Outbox } from "./worker-stream-outbox.ts";
import type { Replies } from "./worker-stream-replies.ts";

/** A frame without payloads. */
export const SMALL_FRAME = 128;
const ENTRY_BYTES = 320;

function payloadBytes(payload: Payload | undefined): number {
  return payload?.data?.byteLength ?? 0;
}

function itemBytes(item: WorkItem): number {
  let bytes = 1_024 + payloadBytes(item.input);
  for (const entry of item.journal) bytes += ENTRY_BYTES + payloadBytes(entry.payload);
  return bytes;
}

function protoBytes(payload: PayloadProto | undefined): number {
  return payload?.data.byteLength ?? 0;
}

export function replyBytes(result: Reply["result"]): number {
  switch (result.case) {
    case "stepStarted": {
      const { outcome } = result.value;
      if (outcome.case !== "replay") return 4 * SMALL_FRAME;
      const { result: replayed } = outcome.value;
      return SMALL_FRAME + (replayed.case === "output" ? protoBytes(replayed.value) : ENTRY_BYTES);
    }
    case "suspendRun": {
      let bytes = SMALL_FRAME;
      for (const entry of result.value.resolved) bytes += ENTRY_BYTES + protoBytes(entry.payload);
      return bytes;
    }
    case "error":
      return 4 * SMALL_FRAME;
    default:
      return SMALL_FRAME;
  }
}

export function welcome(connection: WorkerConnection): ServerFrame {
  return create(ServerFrameSchema, {
    body: {
      case: "welcome",
      value: {
        connectionId: connection.connectionId,
        leaseTime: duration(BOUNDS.leaseMs),
        heartbeatInterval: duration(BOUNDS.heartbeatMs),
        limits: {
          inlinePayload: BOUNDS.inlinePayloadBytes,
          message: BOUNDS.messageBytes,
          payload: BOUNDS.payloadBytes,
          stepKey: BOUNDS.stepKeyBytes,
          name: BOUNDS.nameBytes,
          tags: BOUNDS.tags,
          openWaits: BOUNDS.openWaitsPerRun,
        },
        leases: connection.survived.map((lease) =>
          leaseOut(lease.runId, lease.fence, lease.attempt, lease.until),
        ),
        serverVersion: VERSION,
      },
    },
  });
}

/** Puts what the engine sends into the outbox. */
export function outboxSink(
  outbox: Outbox,
  replies: Replies,
  close: (reason: string) => void,
): ConnectionSink {
  const push = (body: ServerFrame["body"], bytes: number): void =>
    outbox.push({ $typeName: "pawl.v1.ServerFrame", body }, bytes);
  return {
    dispatch(item: WorkItem) {
      const value = { $typeName: "pawl.v1.Dispatch" as const, item: workItemOut(item) };
      push({ case: "dispatch", value }, itemBytes(item));
    },
    cancel(runId, fence, reason, graceMs) {
      const grace = duration(graceMs);
      const value = { $typeName: "pawl.v1.Cancel" as const, runId, fence, reason, grace };
      push({ case: "cancel", value }, SMALL_FRAME + reason.length);
    },
    pause(runId, fence) {
      push({ case: "pause", value: { $typeName: "pawl.v1.Pause", runId, fence } }, SMALL_FRAME);
    },
    waitResolved(runId: string, fence: number, entry: Entry) {
      const value = {
        $typeName: "pawl.v1.WaitResolved" as const,
        runId,
        fence,
        entry: entryOut(entry),
      };
      const frame: ServerFrame = {
        $typeName: "pawl.v1.ServerFrame",
        body: { case: "waitResolved", value },
      };
      outbox.push(frame, ENTRY_BYTES + payloadBytes(entry.payload), runId, entry.seq);
    },
    reserve(runId, seq) {
      const place = outbox.reserve(runId, seq);
      return () => outbox.fill(place);
    },
    reserveReply: (runId, key, seq) => replies.reserve(runId, key, seq),
    leaseResults(results: readonly LeaseAnswer[], renewed: number | undefined) {
      const value = {
        $typeName: "pawl.v1.LeaseResults" as const,
        results: results.map(leaseResultOut),
        renewed: renewed ?? 0,
        notice: renewed === undefined,
      };
      push({ case: "leaseResults", value }, SMALL_FRAME * (1 + results.length));
    },
    drain() {
      push({ case: "drain", value: { $typeName: "pawl.v1.Drain" } }, SMALL_FRAME);
    },
    close,
  };
}
