/** Options of `pawl run`: the input, and when the run may start and how long it may take. */
import type { Options } from "./command.ts";

export const START_OPTIONS = {
  input: {
    type: "string",
    value: "JSON",
    help: "The workflow's input.",
    default: "no input",
  },
  file: {
    type: "string",
    value: "FILE",
    help: "Read the input from a file (- for standard input).",
    default: "",
  },
  id: {
    type: "string",
    value: "RUN_ID",
    help: "The run's id. Choose one to make repeated starts safe.",
    default: "chosen by the server",
  },
  wait: { type: "boolean", help: "Wait for the run to end, and print its result." },
  tag: {
    type: "string",
    multiple: true,
    value: "KEY=VALUE",
    help: "A tag to find the run by.",
    default: "none",
  },
  queue: { type: "string", value: "NAME", help: "The queue.", default: "default" },
  priority: {
    type: "string",
    value: "N",
    help: "From 0 to 9; higher starts first.",
    default: "5",
  },
  version: {
    type: "string",
    value: "VERSION",
    help: "Only workers with this version of the workflow may execute the run.",
    default: "any version",
  },
  delay: {
    type: "string",
    value: "DURATION",
    help: "Start no earlier than this long from now.",
    default: "start now",
  },
  timeout: {
    type: "string",
    value: "DURATION",
    help: "Time limit for the whole run, counted from now; when exceeded, compensations are executed and the run fails.",
    default: "the workflow's own limit, or none",
  },
  "queue-timeout": {
    type: "string",
    value: "DURATION",
    help: "How long the run may wait for a worker before it fails.",
    default: "the workflow's own limit, or none",
  },
  concurrency: {
    type: "string",
    value: "N",
    help: "Start when fewer than N runs of the workflow are executing.",
    default: "no limit",
  },
  "concurrency-key": {
    type: "string",
    value: "KEY",
    help: "Apply --concurrency to each value of this key, such as '{customerId}' of the input.",
    default: "one limit for the workflow",
  },
  rate: {
    type: "string",
    value: "N/DURATION",
    help: "Start at most N runs of the workflow in any such time, such as 10/1m.",
    default: "no limit",
  },
  "rate-key": {
    type: "string",
    value: "KEY",
    help: "Apply --rate to each value of this key.",
    default: "one limit for the workflow",
  },
  "fairness-key": {
    type: "string",
    value: "KEY",
    help: "Start runs that --concurrency holds back round-robin across the values of this key.",
    default: "in the order of their starts",
  },
  debounce: {
    type: "string",
    value: "KEY",
    help: "Merge starts with this key that come in quick succession into one run with the latest input.",
    default: "each start is a run",
  },
  "debounce-for": {
    type: "string",
    value: "DURATION",
    help: "Start once no further request has arrived for this long. Required with --debounce.",
    default: "",
  },
  "debounce-max": {
    type: "string",
    value: "DURATION",
    help: "With --debounce, start this long after the first request at the latest.",
    default: "no limit",
  },
} as const satisfies Options;
