/** Finding a wait by what was typed, and showing waits. */
import { userInfo } from "node:os";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Question, QuestionType, type Wait, WaitKind } from "@pawl/proto";
import { formatDuration, formatTime, shorten } from "../render/text.ts";
import type { Args } from "./args.ts";
import type { Server } from "./client-command.ts";
import { CliError, EXIT, usageError } from "./exit.ts";
import { ms } from "./run-text.ts";
import type { Terminal } from "./terminal.ts";

const PAGE = 500;
/** What may be the id of a wait. */
const WAIT_ID = /^w[0-9A-Za-z]{21}$/;
/** The most open waits that are searched for a prefix. */
const SEARCH_MAX = 10_000;

export const KINDS = {
  user: WaitKind.USER,
  signal: WaitKind.SIGNAL,
  callback: WaitKind.CALLBACK,
  sleep: WaitKind.SLEEP,
  child: WaitKind.CHILD,
} as const;

/** Who is at the terminal. */
export function actorOf(args: Args, terminal: Terminal): string {
  return args.text("actor") || terminal.env.PAWL_ACTOR || userInfo().username;
}

export function parseKind(text: string): WaitKind {
  if (Object.hasOwn(KINDS, text)) return KINDS[text as keyof typeof KINDS];
  throw usageError(
    `There is no kind of wait "${text}".`,
    `The kinds are ${Object.keys(KINDS).join(", ")}.`,
  );
}

export interface WaitFilter {
  readonly kinds: readonly WaitKind[];
  readonly assignee?: string;
  readonly includeUnassigned?: boolean;
  readonly workflow?: string;
  readonly runId?: string;
}

/** Open waits, oldest first, and whether there are more of them. */
export async function listWaits(
  server: Server,
  filter: WaitFilter,
  limit: number,
): Promise<{ waits: Wait[]; more: boolean }> {
  const waits: Wait[] = [];
  let pageToken = "";
  do {
    const pageSize = Math.min(PAGE, limit - waits.length);
    const { kinds, ...rest } = filter;
    const page = await server.waits.listWaits({
      kinds: [...kinds],
      ...rest,
      pageSize,
      pageToken,
    });
    waits.push(...page.waits);
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && waits.length < limit);
  return { waits, more: pageToken !== "" };
}

/**
 * The wait that somebody means: a wait's id, the id of a run with one wait of these kinds, or
 * the beginning of either if that matches only one.
 */
export async function findWait(
  server: Server,
  typed: string,
  kinds: readonly WaitKind[],
): Promise<Wait> {
  const known = WAIT_ID.test(typed) ? await knownWait(server, typed) : undefined;
  if (known !== undefined) return known;
  const own = await listWaits(server, { kinds, runId: typed }, PAGE);
  const candidates = own.waits.length > 0 ? own : await listWaits(server, { kinds }, SEARCH_MAX);
  const found = candidates.waits.filter(
    (wait) => wait.runId.startsWith(typed) || wait.waitId.startsWith(typed),
  );
  const [wait] = found;
  if (wait !== undefined && found.length === 1) return wait;
  if (wait === undefined) throw nothingOpen(typed);
  throw usageError(
    `"${typed}" matches ${found.length} open waits. Choose one:`,
    found
      .slice(0, 10)
      .map((one) => `  ${quoted(one.waitId)}  ${shorten(titleOf(one), 60)}`)
      .join("\n"),
  );
}

async function knownWait(server: Server, waitId: string): Promise<Wait | undefined> {
  try {
    return (await server.waits.getWait({ waitId })).wait;
  } catch (error) {
    if (error instanceof ConnectError && error.code === Code.NotFound) return undefined;
    throw error;
  }
}

function nothingOpen(typed: string): CliError {
  return new CliError(EXIT.NOT_FOUND, `No open wait matches "${typed}".`, {
    reason: "NOT_FOUND",
    metadata: { id: typed },
    hint: "`pawl waits` shows open waits, `pawl timers` shows timers.",
  });
}

/** Quoted for a shell. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** What the run waits for, in one line. */
export function titleOf(wait: Wait): string {
  if (wait.question !== undefined) return wait.question.prompt.replaceAll(/\s+/g, " ").trim();
  switch (wait.kind) {
    case WaitKind.SIGNAL:
      return `the signal "${wait.signalName || wait.name}"`;
    case WaitKind.CALLBACK:
      return `a call of the callback URL "${wait.name}"`;
    case WaitKind.CHILD:
      return `the run ${wait.childRunId}`;
    default:
      return wait.name;
  }
}

const TYPE_NAMES: Readonly<Record<number, string>> = {
  [QuestionType.TEXT]: "a text",
  [QuestionType.APPROVAL]: "an approval",
  [QuestionType.CHOICE]: "one of",
  [QuestionType.MULTICHOICE]: "any of",
  [QuestionType.FORM]: "a form",
};

/** What is asked for, of whom, and how far it is: `an approval by 2 of ada, bob; ada approved`. */
export function describeQuestion(question: Question, wait: Wait): string {
  const type = TYPE_NAMES[question.type] ?? "an answer";
  const options = question.options.map(({ value }) => value).join(", ");
  const choice = options === "" ? type : `${type} ${shorten(options, 80)}`;
  const people = question.assignees.join(", ");
  const many = question.approvalsNeeded > 1;
  const by = many
    ? ` by ${question.approvalsNeeded} ${people === "" ? "people" : `of ${people}`}`
    : people === ""
      ? ""
      : ` by ${people}`;
  const votes = wait.answers.map(({ actor }) => `${actor || "somebody"} approved`).join(", ");
  const facts = [`${choice}${by}`];
  if (question.allowCustom) facts.push("or another answer");
  if (question.skippable) facts.push("can be skipped");
  if (votes !== "") facts.push(votes);
  return facts.join("; ");
}

/** The commands that answer the wait, which `id` names, for the person at the terminal. */
export function howToAnswer(wait: Wait, id: string, actor: string): string {
  const { question } = wait;
  const [first] = question?.assignees ?? [];
  const mayAnswer = first === undefined || question?.assignees.includes(actor) === true;
  const named = mayAnswer ? id : `${id} --actor ${quoted(first)}`;
  return commandsFor(wait, named);
}

function commandsFor(wait: Wait, id: string): string {
  const { question } = wait;
  if (wait.kind === WaitKind.SIGNAL)
    return `pawl signal ${quoted(wait.runId)} ${quoted(wait.signalName || wait.name)} --data JSON`;
  if (wait.kind === WaitKind.CALLBACK) return `pawl answer ${id} --json-answer JSON`;
  if (question === undefined) return "";
  const first = quoted(question.options[0]?.value ?? "");
  switch (question.type) {
    case QuestionType.APPROVAL:
      return `pawl approve ${id}   or   pawl reject ${id} --comment WHY`;
    case QuestionType.CHOICE:
    case QuestionType.MULTICHOICE:
      return `pawl answer ${id}   or   pawl answer ${id} ${first}`;
    default:
      return `pawl answer ${id}`;
  }
}

/** `3 min 4 s ago`, and until when. */
export function timesOf(wait: Wait, now: number): string {
  const since = ms(wait.since);
  const due = ms(wait.due);
  const age = since === undefined ? "" : `${formatDuration(now - since)} ago`;
  return due === undefined ? age : `${age}, until ${formatTime(due)}`;
}
