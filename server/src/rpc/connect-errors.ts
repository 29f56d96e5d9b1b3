/** Wire errors as Connect throws them. Apart from errors.ts, so that Connect is loaded on demand. */
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "@pawl/proto/google/rpc/error_details_pb.js";
import { invalid } from "../model/errors.ts";
import { duration } from "./convert/common-messages.ts";
import { messageTooLarge } from "./convert/fields.ts";
import { errorInfo, pawlWireError, type WireError } from "./errors.ts";

/** For Connect: the same details, which its JSON also shows in clear text under `debug`. */
export function connectError(error: WireError): ConnectError {
  const failed = new ConnectError(error.message, connectCode(error.code));
  if (error.reason !== "") failed.details.push({ desc: ErrorInfoSchema, value: errorInfo(error) });
  if (error.retryAfterMs !== undefined) {
    const value = { retryDelay: duration(error.retryAfterMs) };
    failed.details.push({ desc: RetryInfoSchema, value });
  }
  return failed;
}

/**
 * What Connect itself finds wrong with a request (too large, no JSON, no such message) as our own
 * checks would have told it: with a reason.
 *
 * @param size of the message in bytes, where it is known
 */
export function requestError(code: Code, said: string, size?: number): ConnectError | undefined {
  switch (code) {
    case Code.ResourceExhausted:
      return connectError(pawlWireError(messageTooLarge(size)));
    case Code.InvalidArgument:
    case Code.Internal:
      return connectError(pawlWireError(invalid("message", `cannot be decoded: ${said}`)));
    case Code.Unimplemented:
      return connectError(pawlWireError(invalid("content-encoding", `${said}; send gzip or none`)));
    default:
      return undefined;
  }
}

/** Connect's codes are gRPC's numbers. */
function connectCode(code: number): Code {
  return code in Code ? code : Code.Unknown;
}
