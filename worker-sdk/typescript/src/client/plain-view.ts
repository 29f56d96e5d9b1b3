/** What views look like as JSON: as the server sends the same over HTTP. */
import type { DescMessage, JsonObject, Message } from "@bufbuild/protobuf";
import { plainJson } from "@pawl/proto/plain";

/** The view, which JSON.stringify writes as the server writes the message that it is made of. */
export function asPlain<T extends object>(view: T, schema: DescMessage, message: Message): T {
  const toJSON = (): JsonObject => plainJson(schema, message, readJson);
  return Object.defineProperty(view, "toJSON", { value: toJSON });
}

function readJson(data: Uint8Array): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data)) };
  } catch {
    // Sent as the bytes that it is.
    return undefined;
  }
}
