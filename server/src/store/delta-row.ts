/** Rows of the delta table, as both stores read them. */
import type { RunStatus } from "../model/run.ts";
import { RUN_STATUSES } from "../model/run.ts";
import type { DeltaChunk, DeltaHead, RunMark } from "./deltas.ts";
import type { Row } from "./row.ts";
import { int, text } from "./row.ts";
import { StoreError } from "./store-error.ts";

export function toDeltaHead(row: Row): DeltaHead {
  return {
    fence: int(row, "fence"),
    first: int(row, "first"),
    last: int(row, "last"),
    afterSeq: int(row, "after_seq"),
    at: int(row, "at"),
    keep: int(row, "keep") !== 0,
    steps: text(row, "steps"),
  };
}

export function toChunk(row: Row): DeltaChunk {
  const { data } = row;
  if (!(data instanceof Uint8Array)) throw new StoreError("Column data holds no bytes.");
  return { ...toDeltaHead(row), data };
}

export function toRunMark(row: Row): RunMark {
  const status = text(row, "status");
  if (!isStatus(status)) throw new StoreError(`Column status holds "${status}".`);
  const delta =
    typeof row.delta_fence === "number"
      ? { fence: row.delta_fence, number: int(row, "delta_last") }
      : { fence: 0, number: 0 };
  const leased = status === "RUNNING" || status === "CANCELLING";
  return { seq: int(row, "seq"), fence: int(row, "fence"), status, leased, delta };
}

function isStatus(value: string): value is RunStatus {
  return RUN_STATUSES.some((status) => status === value);
}
