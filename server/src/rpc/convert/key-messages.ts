/** API keys: wire ↔ model. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ApiKeySchema, CreateKeyRequest, RotateKeyRequest } from "@pawl/proto";
import type { IssuedKey, NewKey } from "../../auth/api-keys.ts";
import type { ApiKey } from "../../model/api-key.ts";
import { timestampOrUnset } from "./common-messages.ts";
import { durationMs, requiredText } from "./fields.ts";

const NAME_BYTES = 100;
const KEY_ID_BYTES = 100;
const OVERLAP_MS = 24 * 3_600_000;

export function createKeyIn({ name, scopes, expiresIn, operator }: CreateKeyRequest): NewKey {
  const expiresInMs = expiresIn === undefined ? undefined : durationMs("expires_in", expiresIn);
  return { name: requiredText("name", name, NAME_BYTES), scopes, expiresInMs, operator };
}

export function keyIdIn(keyId: string): string {
  return requiredText("key_id", keyId, KEY_ID_BYTES);
}

export function overlapIn({ overlap }: RotateKeyRequest): number {
  return overlap === undefined ? OVERLAP_MS : durationMs("overlap", overlap);
}

export function keyOut(key: ApiKey): MessageInitShape<typeof ApiKeySchema> {
  const { keyId, name, kind, scopes, createdBy, replacedBy } = key;
  return {
    ...{ keyId, name, createdBy, replacedBy },
    operator: kind === "operator",
    scopes: [...scopes],
    createdAt: timestampOrUnset(key.createdAt),
    expiresAt: timestampOrUnset(key.expiresAt),
    revokedAt: timestampOrUnset(key.revokedAt),
    lastUsedAt: timestampOrUnset(key.lastUsedAt),
  };
}

export function issuedKeyOut({ key, text }: IssuedKey) {
  return { key: keyOut(key), text };
}
