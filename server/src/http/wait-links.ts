/**
 * Signed links, whose token is the credential: `/v1/callbacks/TOKEN` for outside processes and
 * `/v1/answers/TOKEN` for people, as a page with a form that works without scripts, or as JSON.
 * Reading changes nothing, since mail programs follow links before people do. Loaded at first use.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type {
  AnsweredWait,
  EngineApi,
  FoundWait,
  LinkKind,
  OpenedLink,
} from "../engine/engine-api.ts";
import type { Log } from "../lib/log.ts";
import { BOUNDS } from "../model/bounds.ts";
import { type Caller, linkHolder } from "../model/caller.ts";
import { invalid, PawlError } from "../model/errors.ts";
import type { Payload } from "../model/payload.ts";
import type { Question } from "../model/question.ts";
import type { Call, Calls } from "../rpc/calls.ts";
import { jsonIn } from "../rpc/convert/common-messages.ts";
import { wireError } from "../rpc/errors.ts";
import { formAnswer } from "./answer-form.ts";
import { donePage, PAGE_HEADERS, problemPage, questionPage } from "./answer-page.ts";
import { readBody } from "./body.ts";
import { discardRest } from "./discard.ts";
import { HttpError, sendProblem, sendRefusal, wrongMethod } from "./problem.ts";

export interface LinkServices {
  readonly engine: LinkEngine;
  readonly calls: Calls;
  readonly log: Log;
}

export type LinkEngine = Pick<EngineApi, "links" | "waits">;

export interface Link {
  readonly kind: LinkKind;
  readonly token: string;
}

/** Resolves once the answer is written. */
export async function serveLink(
  { engine, calls, log }: LinkServices,
  link: Link,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const call = calls.begin();
  response.once("close", call.abort);
  const exchange = { engine, call, log, request, response, token: link.token };
  try {
    if (link.kind === "callback") await callback(exchange);
    else await answer(exchange);
  } finally {
    call.done();
  }
  if (!request.complete) discardRest(request);
}

interface Exchange {
  readonly engine: LinkEngine;
  readonly call: Call;
  readonly log: Log;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly token: string;
}

function contentType({ headers }: IncomingMessage): string {
  return (headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

function isJson(request: IncomingMessage): boolean {
  const type = contentType(request);
  return type === "application/json" || type.endsWith("+json");
}

async function callback(exchange: Exchange): Promise<void> {
  const { engine, request, response } = exchange;
  if (request.method !== "POST") return notAllowed(exchange, ["POST"]);
  try {
    const [link, caller] = await opened(exchange, "callback");
    const body = await readBody(request, BOUNDS.callbackBytes);
    const payload: Payload = { encoding: isJson(request) ? "json" : "bytes", data: body };
    if (payload.encoding === "json") jsonIn("body", body);
    const { duplicate } = await resolve(engine, caller, link, payload, "callback", "");
    sendJson(response, 200, { status: "recorded", duplicate });
  } catch (error) {
    sendError(exchange, error);
  }
}

/** The token is the credential: what it stands for, and on whose behalf its holder acts. */
async function opened(
  { engine, call, token }: Exchange,
  kind: LinkKind,
): Promise<[OpenedLink, Caller]> {
  call.signal.throwIfAborted();
  const link = await engine.links.open(kind, token);
  return [link, call.enterAs(linkHolder(link.org, link.actor)).caller];
}

function resolve(
  engine: LinkEngine,
  caller: Caller,
  { runId, runUid, key, actor, resolutionId }: OpenedLink,
  payload: Payload | undefined,
  via: "callback" | "link",
  comment: string,
): Promise<AnsweredWait> {
  return engine.waits.answer(caller, {
    runId,
    runUid,
    key,
    resolutionId,
    actor,
    comment,
    via,
    answer: payload,
  });
}

async function answer(exchange: Exchange): Promise<void> {
  const { request } = exchange;
  if (request.method === "GET" || request.method === "HEAD") return showQuestion(exchange);
  if (request.method !== "POST") return notAllowed(exchange, ["GET", "POST"]);
  return isJson(request) ? answerJson(exchange) : answerForm(exchange);
}

async function showQuestion(exchange: Exchange): Promise<void> {
  const { engine, request, response } = exchange;
  const asJson = /^application\/json\b/.test(request.headers.accept ?? "");
  try {
    const [link, caller] = await opened(exchange, "answer");
    const found = await engine.waits.get(caller, link);
    const { question, resolution, answers } = found.wait;
    // People who open a link that they have already used are told so.
    const isOwn = [resolution, ...answers].some((one) => one?.resolutionId === link.resolutionId);
    if (isOwn && !asJson && question !== undefined) {
      sendPage(response, 200, donePage(question, true, resolution === undefined));
      return;
    }
    const open = openQuestion(found, link);
    if (asJson) sendJson(response, 200, { question: open, assignee: link.actor });
    else sendPage(response, 200, questionPage(open, link.actor));
  } catch (error) {
    if (asJson) sendError(exchange, error);
    else sendProblemPage(exchange, error);
  }
}

/** The question of a link that can still be used. */
function openQuestion({ wait, ended }: FoundWait, link: OpenedLink): Question {
  const { question, resolution, closed } = wait;
  if (question === undefined) throw invalid("token", "is for no question");
  if (ended !== undefined && resolution === undefined)
    throw new PawlError(
      "RUN_TERMINAL",
      "Nobody waits for this answer any more: the run has ended.",
    );
  if (closed !== undefined)
    throw new PawlError("WAIT_CLOSED", "Nobody waits for this answer any more.", {
      metadata: { why: closed.why },
    });
  const mine = wait.answers.find((one) => link.actor !== "" && one.actor === link.actor);
  const over = resolution ?? mine;
  if (over === undefined) return question;
  const at = new Date(over.at).toISOString();
  const by = over.actor === "" ? "" : ` by ${over.actor}`;
  const outcome = resolution?.outcome.replace("_", " ") ?? "answered";
  throw new PawlError("WAIT_ALREADY_RESOLVED", `This question was ${outcome}${by} at ${at}.`, {
    metadata: { outcome: resolution?.outcome ?? "", resolved_by: over.actor, resolved_at: at },
  });
}

async function answerJson(exchange: Exchange): Promise<void> {
  const { engine, request, response } = exchange;
  try {
    const [link, caller] = await opened(exchange, "answer");
    const body = jsonIn("body", await readBody(request, BOUNDS.answerBytes * 2));
    const { payload, comment } = jsonAnswer(body);
    const { duplicate, wait } = await resolve(engine, caller, link, payload, "link", comment);
    sendJson(response, 200, { status: "recorded", duplicate, open: wait.resolution === undefined });
  } catch (error) {
    sendError(exchange, error);
  }
}

/** `{"answer": …}` or `{"skip": true}`, and perhaps a comment. */
function jsonAnswer(body: unknown): { payload: Payload | undefined; comment: string } {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw invalid("body", 'must be an object such as {"answer": "yes", "comment": "why"}');
  const comment = "comment" in body ? body.comment : "";
  if (typeof comment !== "string") throw invalid("comment", "must be a string");
  if ("skip" in body && body.skip === true) return { payload: undefined, comment };
  if (!("answer" in body)) throw invalid("answer", "or skip must be set");
  return { payload: jsonPayload(body.answer), comment };
}

function jsonPayload(value: unknown): Payload {
  return { encoding: "json", data: Buffer.from(JSON.stringify(value)) };
}

async function answerForm(exchange: Exchange): Promise<void> {
  const { engine, request, response } = exchange;
  try {
    if (contentType(request) !== "application/x-www-form-urlencoded")
      throw invalid("content-type", "must be a form's or application/json");
    const [link, caller] = await opened(exchange, "answer");
    const body = await readBody(request, BOUNDS.answerBytes * 2);
    const fields = new URLSearchParams(body.toString("utf8"));
    const { wait } = await engine.waits.get(caller, link);
    const { question } = wait;
    if (question === undefined) throw invalid("token", "is for no question");
    const value = formAnswer(question, fields);
    const comment = fields.get("comment") ?? "";
    try {
      const payload = value === undefined ? undefined : jsonPayload(value);
      const done = await resolve(engine, caller, link, payload, "link", comment);
      const open = done.wait.resolution === undefined;
      sendPage(response, 200, donePage(question, done.duplicate, open));
    } catch (error) {
      if (!isAboutAnswer(error)) throw error;
      sendPage(response, 422, questionPage(question, link.actor, error.message, fields));
    }
  } catch (error) {
    sendProblemPage(exchange, error);
  }
}

/** Whether another answer may be taken. */
function isAboutAnswer(error: unknown): error is PawlError {
  if (!(error instanceof PawlError)) return false;
  return error.reason === "INVALID_ANSWER" || error.reason === "SCHEMA_TOO_SLOW";
}

/** HTTP's word for what happened. A refused link tells nothing of what it would lead to. */
function statusOf(error: unknown): number {
  if (!(error instanceof PawlError)) return 500;
  if (error instanceof HttpError) return error.status;
  switch (error.reason) {
    case "PERMISSION_DENIED":
      return error.metadata.why === "expired" ? 410 : 403;
    case "WAIT_ALREADY_RESOLVED":
      return error.metadata.outcome === "timed_out" ? 410 : 409;
    case "WAIT_CLOSED":
    case "RUN_TERMINAL":
    case "NOT_FOUND":
      return 410;
    case "INVALID_ANSWER":
    case "SCHEMA_TOO_SLOW":
      return 422;
    case "PAYLOAD_TOO_LARGE":
      return 413;
    case "INVALID_ARGUMENT":
      return 400;
    case "STORE_UNAVAILABLE":
    case "DRAINING":
      return 503;
    case "RATE_LIMITED":
      return 429;
    default:
      return 500;
  }
}

/** A link outlives its run, and its holder knows neither run nor wait. */
function aboutLink(error: unknown): unknown {
  if (!(error instanceof PawlError) || error.reason !== "NOT_FOUND") return error;
  return new PawlError(
    "NOT_FOUND",
    "The run that this link was made for was deleted. Nobody waits for this answer any more.",
    { cause: error },
  );
}

function sendError({ log, response }: Exchange, error: unknown): void {
  sendProblem(response, wireError(aboutLink(error), log, "http.link"), { status: statusOf(error) });
}

function sendProblemPage({ log, response }: Exchange, error: unknown): void {
  const { message } = wireError(aboutLink(error), log, "http.link");
  sendPage(response, statusOf(error), problemPage(message));
}

function notAllowed({ request, response }: Exchange, allowed: readonly string[]): void {
  // Without the path, which holds the token.
  const { method = "GET" } = request;
  sendRefusal(response, wrongMethod(method, "This address", allowed), method);
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(`${JSON.stringify(value)}\n`);
}

function sendPage(response: ServerResponse, status: number, html: string): void {
  response.writeHead(status, PAGE_HEADERS);
  response.end(html);
}
