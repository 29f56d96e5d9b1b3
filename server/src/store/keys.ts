import type { ApiKey } from "../model/api-key.ts";
import type { Tenant } from "../model/caller.ts";

/** The API keys, and the number by which servers notice that rights have changed. */
export interface KeyStore {
  /** What decides whether a server must look at its keys again, and whether it may do without any. */
  accessState(): Promise<AccessState>;
  /** A key of any organization by the digest of its text. */
  findKey(digest: string): Promise<OwnedKey | undefined>;
  listKeys(caller: Tenant): Promise<ApiKey[]>;
  /**
   * Inserts a key.
   *
   * @param replaces a key that from then on ends at `until`; `undefined`: none
   * @returns false, and changes nothing, where the key to be replaced is gone, or where another key
   *   that is still good has the name
   */
  putKey(caller: Tenant, key: ApiKey, replaces?: Replaced): Promise<boolean>;
  /** @returns whether the key was there and not revoked yet */
  revokeKey(caller: Tenant, keyId: string, at: number): Promise<boolean>;
  /** Notes when keys were last used. Not a change of rights. */
  touchKeys(uses: readonly KeyUse[]): Promise<void>;
}

export interface OwnedKey extends ApiKey {
  readonly org: string;
}

export interface Replaced {
  readonly keyId: string;
  readonly until: number;
}

export interface AccessState {
  /** Rises with every change of rights. */
  readonly epoch: number;
  /** Whether there is or ever was an operator key. */
  readonly hasOperator: boolean;
}

export interface KeyUse extends Tenant {
  readonly keyId: string;
  readonly at: number;
}
