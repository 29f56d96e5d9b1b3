import type { Caller } from "../model/caller.ts";
import { PawlError } from "../model/errors.ts";

/**
 * In whose name a signal is sent or a question is answered: the only place that decides it. Callers
 * without a credential say it themselves, and so do keys that may speak for others; any other key
 * speaks for itself, and a link carries the name of the person that it was made for.
 *
 * @throws PawlError PERMISSION_DENIED for a caller who claims to be somebody else
 */
export function actorOf({ principal, scopes }: Caller, claimed: string): string {
  switch (principal.kind) {
    case "link":
      if (claimed === "" || claimed === principal.actor) return principal.actor;
      throw new PawlError(
        "PERMISSION_DENIED",
        `This link was made for "${principal.actor}", who cannot answer as "${claimed}".`,
        { metadata: { actor: claimed } },
      );
    case "key": {
      const own = `key:${principal.name}`;
      if (claimed === "" || claimed === own) return own;
      if (scopes.has("*") || scopes.has("waits:act-as")) return claimed;
      throw new PawlError(
        "PERMISSION_DENIED",
        `This key acts as "${own}". Speaking for "${claimed}" needs the scope waits:act-as.`,
        { metadata: { actor: claimed, needs: "waits:act-as" } },
      );
    }
    default:
      return claimed;
  }
}
