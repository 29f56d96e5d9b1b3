/** Messages of the contract as plain JSON; see `@pawl/proto/plain`. */
import type { DescMessage, JsonObject, Message } from "@bufbuild/protobuf";
import { plainJson } from "@pawl/proto/plain";
import { tryJson } from "../lib/json.ts";
import { BOUNDS } from "../model/bounds.ts";

export function plain(schema: DescMessage, message: Message): JsonObject {
  return plainJson(schema, message, (data) => tryJson(data, BOUNDS.jsonDepth));
}
