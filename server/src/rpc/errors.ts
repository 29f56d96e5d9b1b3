/**
 * The one place where errors become wire errors. A PawlError leaves with its reason, message and
 * metadata; anything else leaves bare, under an id that the log has together with the whole chain.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Metadata, type StatusObject } from "@grpc/grpc-js";
import type { ErrorFrame } from "@pawl/proto";
import { ErrorInfoSchema, RetryInfoSchema } from "@pawl/proto/google/rpc/error_details_pb.js";
import { StatusSchema } from "@pawl/proto/google/rpc/status_pb.js";
import { uniqueId } from "../lib/ids.ts";
import type { Log } from "../lib/log.ts";
import { BOUNDS } from "../model/bounds.ts";
import { CODES, PawlError } from "../model/errors.ts";
import { duration } from "./convert/common-messages.ts";

export const ERROR_DOMAIN = "pawl.dev";
const CANCELLED = 1;

/** An error as every transport tells it. */
export interface WireError {
  /** A google.rpc.Code. */
  readonly code: number;
  /** One of model/errors.ts; empty where the caller has hung up and nobody reads it. */
  readonly reason: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;
}

/**
 * @param method what was being done, for the log
 * @param signal the call's; an error after it fired is a consequence of that
 */
export function wireError(
  error: unknown,
  log: Log,
  method: string,
  signal?: AbortSignal,
): WireError {
  const cause: unknown =
    signal?.aborted === true && !(error instanceof PawlError) ? signal.reason : error;
  if (cause instanceof PawlError) {
    if (cause.reason === "INTERNAL") log.error("rpc.failed", { method, error: cause });
    return pawlWireError(cause);
  }
  if (signal?.aborted === true) {
    const message = "The call was cancelled by the caller.";
    return { code: CANCELLED, reason: "", message, metadata: {}, retryAfterMs: undefined };
  }
  const id = uniqueId();
  log.error("rpc.failed", { method, id, error: cause });
  return {
    code: CODES.INTERNAL,
    reason: "INTERNAL",
    message: `Something went wrong inside the server. Its log has the details under the id ${id}.`,
    metadata: { id },
    retryAfterMs: undefined,
  };
}

export function pawlWireError(error: PawlError): WireError {
  return {
    code: error.code,
    reason: error.reason,
    message: shorten(error.message, BOUNDS.errorMessageBytes),
    metadata: shortenAll(error.metadata),
    retryAfterMs: error.retryAfterMs,
  };
}

function shorten(value: string, maxBytes: number): string {
  const clean = value.toWellFormed();
  if (Buffer.byteLength(clean) <= maxBytes) return clean;
  const head = Buffer.from(clean)
    .subarray(0, maxBytes - 3)
    .toString("utf8");
  return `${head.replace(/\ufffd+$/, "")}…`;
}

/** Cuts the longest values until all of them fit together. */
function shortenAll(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(metadata);
  const total = entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  if (total * 3 <= BOUNDS.errorMetadataBytes) return metadata;
  const share = Math.floor(BOUNDS.errorMetadataBytes / Math.max(1, entries.length));
  return Object.fromEntries(entries.map(([key, value]) => [key, shorten(value, share)]));
}

/** The content of google.rpc.ErrorInfo. */
export function errorInfo(error: WireError) {
  return { reason: error.reason, domain: ERROR_DOMAIN, metadata: { ...error.metadata } };
}

/** For grpc-js: code and message, and google.rpc.Status in `grpc-status-details-bin`. */
export function grpcStatus(error: WireError): Partial<StatusObject> {
  const metadata = new Metadata();
  if (error.reason !== "") {
    const details = [anyPack(ErrorInfoSchema, create(ErrorInfoSchema, errorInfo(error)))];
    if (error.retryAfterMs !== undefined) {
      const retryDelay = duration(error.retryAfterMs);
      details.push(anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay })));
    }
    const status = create(StatusSchema, { code: error.code, message: error.message, details });
    metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, status)));
  }
  return { code: error.code, details: error.message, metadata };
}

/** The error reply to one frame of a connection. */
export function frameError(error: WireError): ErrorFrame {
  return {
    $typeName: "pawl.v1.ErrorFrame",
    reason: error.reason,
    message: error.message,
    metadata: { ...error.metadata },
    code: error.code,
    ...(error.retryAfterMs !== undefined && { retryAfter: duration(error.retryAfterMs) }),
  };
}
