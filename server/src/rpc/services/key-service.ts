import { KeyService } from "@pawl/proto";
import type { Keys } from "../../auth/api-keys.ts";
import { type Binding, unary } from "../binding.ts";
import { createKeyIn, issuedKeyOut, keyIdIn, keyOut, overlapIn } from "../convert/key-messages.ts";

export function keyService(keys: Keys): Binding[] {
  const rpc = KeyService.method;
  return [
    unary(rpc.createKey, async (request, { caller }) =>
      issuedKeyOut(await keys.create(caller, createKeyIn(request))),
    ),
    unary(rpc.listKeys, async (_request, { caller }) => {
      return { keys: (await keys.list(caller)).map(keyOut) };
    }),
    unary(rpc.revokeKey, async ({ keyId }, { caller }) => {
      await keys.revoke(caller, keyIdIn(keyId));
      return {};
    }),
    unary(rpc.rotateKey, async (request, { caller }) =>
      issuedKeyOut(await keys.rotate(caller, keyIdIn(request.keyId), overlapIn(request))),
    ),
  ];
}
