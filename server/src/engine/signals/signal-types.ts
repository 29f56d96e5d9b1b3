/** Signals in the model's words. */
import type { Payload } from "../../model/payload.ts";

export interface SendSignal {
  readonly runId: string;
  readonly name: string;
  /** Empty: chosen by the server. */
  readonly signalId: string;
  readonly payload: Payload;
  readonly actor: string;
}

export interface SignalView {
  readonly name: string;
  readonly signalId: string;
  readonly payload: Payload;
  readonly actor: string;
  readonly receivedAt: number;
  readonly consumedBy: string;
}

export interface ListSignals {
  readonly runId: string;
  readonly pageSize: number;
  /** Empty: the first page. */
  readonly pageToken: string;
}
