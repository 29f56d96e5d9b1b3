import type { Tenant } from "../model/caller.ts";

/** What an organization signs its links with. */
export interface SecretStore {
  /** The organization's secret of that name; `candidate`, if any, becomes it where there is none. */
  secret(caller: Tenant, name: string, candidate?: string): Promise<string | undefined>;
}
