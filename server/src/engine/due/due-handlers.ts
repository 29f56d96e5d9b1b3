import type { DueKind } from "../../store/due.ts";
import { attemptDue } from "./attempt-due.ts";
import { childDue } from "./child-due.ts";
import type { DueHandler } from "./due-handler.ts";
import { graceDue } from "./grace-due.ts";
import { parentDue } from "./parent-due.ts";
import { queueDue } from "./queue-due.ts";
import { remindDue } from "./remind-due.ts";
import { retryDue } from "./retry-due.ts";
import { runDue } from "./run-due.ts";
import { startDue } from "./start-due.ts";
import { unwantedDue } from "./unwanted-due.ts";
import { waitDue } from "./wait-due.ts";

/** All kinds of due rows. */
export const DUE_HANDLERS: Readonly<Record<DueKind, DueHandler>> = {
  start: startDue,
  wait: waitDue,
  remind: remindDue,
  retry: retryDue,
  attempt: attemptDue,
  run: runDue,
  queue: queueDue,
  grace: graceDue,
  child: childDue,
  parent: parentDue,
  unwanted: unwantedDue,
};
