import { ServerService } from "@pawl/proto";
import { VERSION } from "../../lib/version.ts";
import { type Binding, unary } from "../binding.ts";

/** Where a server is reached, as it seems to a caller. */
export interface Place {
  /** Empty: nowhere. */
  readonly httpUrl: string;
  readonly grpcUrl: string;
  readonly credentialRequired: boolean;
}

/** @param host by which the caller reached the server, such as `127.0.0.1:8000`; empty: unknown */
export type Locate = (host: string) => Place;

/** A server inside a program is reached at no address. */
export const nowhere: Locate = () => ({ httpUrl: "", grpcUrl: "", credentialRequired: false });

export function serverService(locate: Locate): Binding[] {
  return [
    unary(ServerService.method.getServer, (_request, { host }) =>
      Promise.resolve({ version: VERSION, ...locate(host) }),
    ),
  ];
}
