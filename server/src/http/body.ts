import type { IncomingMessage } from "node:http";
import { HttpError } from "./problem.ts";

/** Refuses a body that is compressed: read as it is, it would be taken for something else. */
export function refuseEncoded({ headers }: IncomingMessage): void {
  const encoding = headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  if (encoding === "identity" || encoding === "") return;
  throw new HttpError(
    415,
    "INVALID_ARGUMENT",
    `The body's content encoding is ${encoding.slice(0, 100)}; send it uncompressed.`,
    { metadata: { field: "content-encoding" } },
  );
}
