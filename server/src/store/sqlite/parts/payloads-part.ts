import { storePayload } from "../payloads.ts";
import type { Part } from "./part.ts";

export const PUT_REF = `INSERT INTO payload_ref (org_id, sha256, run_id)
VALUES (?, ?, ?)
ON CONFLICT DO NOTHING`;
export const HAS_PAYLOAD = "SELECT 1 FROM payload WHERE org_id = ? AND sha256 = ?";

export const payloads: Part<"payloads"> = {
  tables: ["payload_ref"],
  /** A reference to a payload that was swept away meanwhile must not be recorded. */
  check(db, { org }, { put, refs }) {
    return refs.every(
      ({ sha256 }) =>
        put.some((blob) => blob.sha256 === sha256) ||
        db.prepare(HAS_PAYLOAD).get(org, sha256) !== undefined,
    );
  },
  apply(db, { org, runId }, { put, refs }, now) {
    for (const blob of put) storePayload(db, org, blob, now);
    for (const { sha256 } of refs) db.prepare(PUT_REF).run(org, sha256, runId);
  },
};
