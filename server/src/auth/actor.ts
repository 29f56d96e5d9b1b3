import type { Caller } from "../model/caller.ts";
import { PawlError } from "../model/errors.ts";

/**
 * In whose name a signal is sent or a question is answered: the only place that decides it. Callers who
 * have shown no credential say it themselves; a link carries the name of the person that it was made for.
 *
 * @throws PawlError PERMISSION_DENIED where a link's holder claims to be somebody else
 */
export function actorOf({ principal }: Caller, claimed: string): string {
  if (principal.kind !== "link") return claimed;
  if (claimed === "" || claimed === principal.actor) return principal.actor;
  throw new PawlError(
    "PERMISSION_DENIED",
    `This link was made for "${principal.actor}", who cannot answer as "${claimed}".`,
    { metadata: { actor: claimed } },
  );
}
