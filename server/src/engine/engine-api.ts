/**
 * The engine as the edge sees it: a record of areas, in the model's words. `rpc/` and `http/` convert the
 * wire to these and back; nothing here knows protobuf. All methods reject with PawlError.
 */
import type { Events } from "./events/events.ts";
import type { Outcomes } from "./outcomes/outcomes.ts";
import type { Payloads } from "./payloads/payloads.ts";
import type { Runs } from "./runs/runs.ts";
import type { Signals } from "./signals/signals.ts";
import type { Steps } from "./steps/steps.ts";
import type { WaitLinks } from "./waits/wait-links.ts";
import type { Waits } from "./waits/waits.ts";
import type { Polling } from "./workers/polling.ts";
import type { WorkerRegistry } from "./workers/worker-registry.ts";
import type { Workers } from "./workers/workers.ts";

export type * from "./events/event-types.ts";
export type * from "./outcomes/outcome-types.ts";
export type * from "./payloads/payloads.ts";
export type * from "./runs/run-types.ts";
export type * from "./signals/signal-types.ts";
export type * from "./steps/step-types.ts";
export type * from "./waits/wait-types.ts";
export type * from "./workers/worker-types.ts";

/** What an area offers, which something else than its class may offer, too. */
type Offer<Area, Method extends keyof Area = keyof Area> = Readonly<Pick<Area, Method>>;

export interface EngineApi {
  readonly runs: Offer<Runs>;
  readonly steps: Offer<Steps>;
  readonly outcomes: Offer<Outcomes>;
  readonly signals: Offer<Signals>;
  readonly waits: Offer<Waits>;
  readonly links: Offer<WaitLinks, "open">;
  readonly events: Offer<Events, "publish" | "cursorNow" | "watch" | "watchRuns" | "list">;
  readonly payloads: Offer<Payloads>;
  readonly workers: Offer<Workers, "attach">;
  readonly polling: Offer<Polling>;
  readonly registry: Offer<WorkerRegistry, "listWorkers" | "listWorkflows" | "getWorkflow">;
  /** Whether the store answers. */
  ready(): boolean;
}
