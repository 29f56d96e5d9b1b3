/**
 * Names that are made of several parts: each is written and read here only. The id of a wait has a file of
 * its own, `wait-id.ts`.
 */
import { invalid } from "./errors.ts";

/** Which run, of which organization. */
export interface RunRef {
  readonly org: string;
  readonly runId: string;
}

/** One string for a run, for maps. Ids hold no control characters, so no two runs share it. */
export function runKey(org: string, runId: string): string {
  return `${org}\n${runId}`;
}

export function parseRunKey(key: string): RunRef {
  const at = key.indexOf("\n");
  return { org: key.slice(0, at), runId: key.slice(at + 1) };
}

/** What something happens to later: a kind of aggregate, and the id of one. */
export interface Subject {
  readonly kind: SubjectKind;
  readonly id: string;
}

const SUBJECT_KINDS = ["run"] as const;
export type SubjectKind = (typeof SUBJECT_KINDS)[number];

export function formatSubject(kind: SubjectKind, id: string): string {
  return `${kind}/${id}`;
}

export function parseSubject(text: string): Subject {
  const at = text.indexOf("/");
  const kind = SUBJECT_KINDS.find((one) => one === text.slice(0, at));
  if (kind === undefined) throw new TypeError(`"${text}" names no subject.`);
  return { kind, id: text.slice(at + 1) };
}

/** The ready queue of a workflow, or of one version of it. */
export function laneName(workflow: string, version: string): string {
  return version === "" ? workflow : `${workflow}@${version}`;
}

/**
 * Who holds a lease. `attached`: a worker with a stream to a replica; `polling`: one without;
 * `claim`: a caller that started the run and executes it itself.
 */
export type ConnectionId =
  | { readonly kind: "attached"; readonly replica: string; readonly instance: string }
  | { readonly kind: "polling" | "claim"; readonly instance: string };

const PREFIXES = { polling: "poll", claim: "claim" } as const;

export function formatConnectionId(id: ConnectionId): string {
  const place = id.kind === "attached" ? id.replica : PREFIXES[id.kind];
  return `${place}/${id.instance}`;
}

export function parseConnectionId(text: string): ConnectionId {
  const at = text.indexOf("/");
  const [place, instance] = [text.slice(0, Math.max(0, at)), text.slice(at + 1)];
  if (place === PREFIXES.polling) return { kind: "polling", instance };
  if (place === PREFIXES.claim) return { kind: "claim", instance };
  return { kind: "attached", replica: place, instance };
}

type Part = "number" | "string";
type Values<Shape extends readonly Part[]> = {
  -readonly [I in keyof Shape]: Shape[I] extends "number" ? number : string;
};

/** Where the next page of a list begins. */
export function formatPageToken(values: readonly (number | string)[]): string {
  return Buffer.from(JSON.stringify(values)).toString("base64url");
}

/** Rejects with INVALID_ARGUMENT what is not such a token of this list. */
export function parsePageToken<const Shape extends readonly Part[]>(
  token: string,
  shape: Shape,
): Values<Shape> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
  } catch {
    value = undefined;
  }
  if (hasShape(value, shape)) return value;
  throw invalid("page_token", "is not a valid token from this server");
}

function hasShape<Shape extends readonly Part[]>(
  value: unknown,
  shape: Shape,
): value is Values<Shape> {
  if (!Array.isArray(value) || value.length !== shape.length) return false;
  return shape.every((part, index) => typeof value[index] === part);
}
