import { added, type Context, IGNORE, IS_CONFIRMED, part } from "./part.ts";

const INPUTS = {
  wants: { ord: "int4", org_id: "text", sha256: "text" },
  payload_put: {
    ord: "int4",
    org_id: "text",
    sha256: "text",
    put_at: "int8",
    size: "int8",
    data: "bytea",
  },
  payload_ref_put: { ord: "int4", org_id: "text", sha256: "text", run_id: "text" },
} as const;

export const payloads = part<"payloads", typeof INPUTS>({
  tables: ["payload_ref"],
  inputs: INPUTS,
  first: [[["wants"], lacking]],
  sections: [
    [["payload_put"], payloadPut],
    added("payload_ref_put", INPUTS.payload_ref_put, "payload_ref", IGNORE),
  ],
  addRows(add, key, { put, refs }, _, now) {
    const { ord, org_id } = key;
    const own = new Set(put.map(({ sha256 }) => sha256));
    for (const { sha256, data } of put) {
      add("payload_put", { ord, org_id, sha256, put_at: now, size: data.byteLength, data });
    }
    for (const { sha256 } of refs) {
      add("payload_ref_put", { ...key, sha256 });
      if (!own.has(sha256)) add("wants", { ord, org_id, sha256 });
    }
  },
});

/**
 * Writes that lack a payload, which was swept away since it was uploaded. The lock keeps the
 * others from being swept until this transaction has recorded its reference.
 */
function lacking(context: Context): string {
  return `lacking AS MATERIALIZED (
  SELECT wants.ord FROM ${context.from("wants")}
  LEFT JOIN LATERAL (
    SELECT true AS found FROM pawl.payload AS p
    WHERE p.org_id = wants.org_id AND p.sha256 = wants.sha256 FOR KEY SHARE
  ) AS p ON true
  WHERE p.found IS NULL)`;
}

/** Putting a payload again makes it young again, so that it is not swept before it is referred to. */
function payloadPut(context: Context): string {
  return `payload_put_done AS (
  INSERT INTO pawl.payload AS p (org_id, sha256, put_at, size, data)
  SELECT DISTINCT ON (org_id, sha256) org_id, sha256, put_at, size, data
  FROM ${context.from("payload_put")}
  WHERE payload_put.ord ${IS_CONFIRMED}
  ORDER BY org_id, sha256
  ON CONFLICT (org_id, sha256) DO UPDATE SET put_at = greatest(p.put_at, excluded.put_at))`;
}
