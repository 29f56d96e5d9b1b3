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
import { discardRest } from "./discard.ts";
import { Exchange, isJson } from "./exchange.ts";
import { HttpError, sendProblem, sendRefusal, statusOf, wrongMethod } from "./problem.ts";

export interface LinkServices {
  readonly engine: LinkEngine;
  readonly calls: Calls;
  readonly log: Log;
}

export type LinkEngine = Pick<EngineApi, "links" | "waits">;

export interface SignedLink {
  readonly kind: LinkKind;
  readonly token: string;
}

/** Resolves once the answer is written. */
export async function serveLink(
  { engine, calls, log }: LinkServices,
  link: SignedLink,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const call = calls.begin();
  response.once("close", call.abort);
  const visit = { engine, call, log, token: link.token, exchange: new Exchange(request, response) };
  try {
    if (link.kind === "callback") await callback(visit);
    else await answer(visit);
  } finally {
    call.done();
  }
  if (!request.complete) discardRest(request);
}

interface Visit {
  readonly engine: LinkEngine;
  readonly call: Call;
  readonly log: Log;
  readonly token: string;
  readonly exchange: Exchange;
}

async function callback(visit: Visit): Promise<void> {
  const { engine, exchange } = visit;
  if (exchange.request.method !== "POST") return notAllowed(visit, ["POST"]);
  try {
    const [link, caller] = await opened(visit, "callback");
    const { bytes, type } = await exchange.body(BOUNDS.callbackBytes);
    const payload: Payload = { encoding: isJson(type) ? "json" : "bytes", data: bytes };
    if (payload.encoding === "json") jsonIn("body", bytes);
    const { duplicate } = await resolve(engine, caller, link, { payload, via: "callback" });
    exchange.json(200, { status: "recorded", duplicate });
  } catch (error) {
    sendError(visit, error);
  }
}

/** The token is the credential: what it stands for, and on whose behalf its holder acts. */
async function opened(
  { engine, call, token }: Visit,
  kind: LinkKind,
): Promise<[OpenedLink, Caller]> {
  call.signal.throwIfAborted();
  const link = await engine.links.open(kind, token);
  return [link, call.enterAs(linkHolder(link.org, link.actor)).caller];
}

interface Given {
  /** Undefined: skipped. */
  readonly payload: Payload | undefined;
  readonly via: "callback" | "link";
  readonly comment?: string;
}

function resolve(
  { waits }: LinkEngine,
  caller: Caller,
  { runId, runUid, key, actor, resolutionId }: OpenedLink,
  { payload, via, comment = "" }: Given,
): Promise<AnsweredWait> {
  const how = { resolutionId, actor, comment, via, answer: payload };
  return waits.answer(caller, { runId, runUid, key, ...how });
}

async function answer(visit: Visit): Promise<void> {
  const { request, contentType } = visit.exchange;
  if (request.method === "GET" || request.method === "HEAD") return showQuestion(visit);
  if (request.method !== "POST") return notAllowed(visit, ["GET", "POST"]);
  return isJson(contentType) ? answerJson(visit) : answerForm(visit);
}

async function showQuestion(visit: Visit): Promise<void> {
  const { engine, exchange } = visit;
  const asJson = /^application\/json\b/.test(exchange.header("accept"));
  try {
    const [link, caller] = await opened(visit, "answer");
    const found = await engine.waits.get(caller, link);
    const { question, resolution, answers } = found.wait;
    // People who open a link that they have already used are told so.
    const isOwn = [resolution, ...answers].some((one) => one?.resolutionId === link.resolutionId);
    if (isOwn && !asJson && question !== undefined) {
      sendPage(exchange, 200, donePage(question, true, resolution === undefined));
      return;
    }
    const open = openQuestion(found, link);
    if (asJson) exchange.json(200, { question: open, assignee: link.actor });
    else sendPage(exchange, 200, questionPage(open, link.actor));
  } catch (error) {
    if (asJson) sendError(visit, error);
    else sendProblemPage(visit, error);
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

async function answerJson(visit: Visit): Promise<void> {
  const { engine, exchange } = visit;
  try {
    const [link, caller] = await opened(visit, "answer");
    const { bytes } = await exchange.body(BOUNDS.answerBytes * 2);
    const given = { ...jsonAnswer(jsonIn("body", bytes)), via: "link" as const };
    const { duplicate, wait } = await resolve(engine, caller, link, given);
    exchange.json(200, { status: "recorded", duplicate, open: wait.resolution === undefined });
  } catch (error) {
    sendError(visit, error);
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

async function answerForm(visit: Visit): Promise<void> {
  const { engine, exchange } = visit;
  try {
    if (exchange.contentType !== "application/x-www-form-urlencoded")
      throw invalid("content-type", "must be a form's or application/json");
    const [link, caller] = await opened(visit, "answer");
    const { bytes } = await exchange.body(BOUNDS.answerBytes * 2);
    const fields = new URLSearchParams(bytes.toString("utf8"));
    const { wait } = await engine.waits.get(caller, link);
    const { question } = wait;
    if (question === undefined) throw invalid("token", "is for no question");
    const value = formAnswer(question, fields);
    const comment = fields.get("comment") ?? "";
    try {
      const payload = value === undefined ? undefined : jsonPayload(value);
      const done = await resolve(engine, caller, link, { payload, via: "link", comment });
      const open = done.wait.resolution === undefined;
      sendPage(exchange, 200, donePage(question, done.duplicate, open));
    } catch (error) {
      if (!isAboutAnswer(error)) throw error;
      sendPage(exchange, 422, questionPage(question, link.actor, error.message, fields));
    }
  } catch (error) {
    sendProblemPage(visit, error);
  }
}

/** Whether another answer may be taken. */
function isAboutAnswer(error: unknown): error is PawlError {
  if (!(error instanceof PawlError)) return false;
  return error.reason === "INVALID_ANSWER" || error.reason === "SCHEMA_TOO_SLOW";
}

/** What can no longer be used is gone. */
const GONE: ReadonlySet<string> = new Set(["WAIT_CLOSED", "RUN_TERMINAL", "NOT_FOUND"]);

/** HTTP's word for what happened. A refused link tells nothing of what it would lead to. */
function linkStatus(error: unknown): number {
  if (error instanceof HttpError) return error.status;
  if (!(error instanceof PawlError)) return 500;
  const { reason, metadata } = error;
  const isOver = metadata.why === "expired" || metadata.outcome === "timed_out";
  return isOver || GONE.has(reason) ? 410 : statusOf(reason);
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

function sendError({ log, exchange: { response } }: Visit, error: unknown): void {
  const wire = wireError(aboutLink(error), log, "http.link");
  sendProblem(response, wire, { status: linkStatus(error) });
}

function sendProblemPage({ log, exchange }: Visit, error: unknown): void {
  const { message } = wireError(aboutLink(error), log, "http.link");
  sendPage(exchange, linkStatus(error), problemPage(message));
}

function notAllowed({ exchange }: Visit, allowed: readonly string[]): void {
  const { request, response } = exchange;
  // Without the path, which holds the token.
  const { method = "GET" } = request;
  sendRefusal(response, wrongMethod(method, "This address", allowed), method);
}

function sendPage(exchange: Exchange, status: number, html: string): void {
  exchange.page(status, html, PAGE_HEADERS);
}
