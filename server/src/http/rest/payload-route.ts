/** GET /v1/payloads/{sha256}: the bytes of a payload that was too large to be inline. */
import { once } from "node:events";
import { create, type DescMethodUnary, isMessage } from "@bufbuild/protobuf";
import { GetPayloadRequestSchema, GetPayloadResponseSchema } from "@pawl/proto";
import { checkNoQuery, type Route, textParameter } from "./route.ts";

const BYTES_TYPE = "application/octet-stream";

export function payloadRoute(rpc: DescMethodUnary): Route {
  return {
    operation: {
      method: "GET",
      path: "/v1/payloads/{sha256}",
      id: "getPayload",
      tag: "Payloads",
      summary: "Get a payload that was too large to be inline",
      description:
        "The bytes as a worker encoded them; JSON for the encodings `json` and `json+pawl`.",
      parameters: [textParameter("sha256", "path", "From a `…Ref`: lower-case hex.")],
      answers: [
        {
          status: 200,
          description: "The bytes.",
          content: { [BYTES_TYPE]: () => ({ type: "string", contentMediaType: BYTES_TYPE }) },
        },
      ],
      errors: ["NOT_FOUND"],
    },
    async serve(exchange, services) {
      checkNoQuery(exchange.search);
      const { response, context } = exchange;
      const sha256 = exchange.params.sha256 ?? "";
      for (let offset = 0; ; ) {
        const request = create(GetPayloadRequestSchema, { sha256, offset });
        const piece = await services.unary(rpc).call(request, context);
        if (!isMessage(piece, GetPayloadResponseSchema))
          throw new Error(`Unexpected message type ${piece.$typeName}.`);
        if (offset === 0) {
          response.writeHead(200, {
            "content-type": BYTES_TYPE,
            "content-length": String(piece.size),
            "x-content-type-options": "nosniff",
            etag: `"${sha256}"`,
          });
        }
        offset += piece.data.byteLength;
        const head = exchange.request.method === "HEAD";
        if (!head && !response.write(piece.data)) {
          await once(response, "drain", { signal: context.signal });
        }
        if (head || offset >= piece.size || piece.data.byteLength === 0) break;
      }
      response.end();
    },
  };
}
