/** What is known of a run when its execution begins. */
export interface RunFacts {
  readonly runId: string;
  readonly fence: number;
  /** How often the run has been leased out, from 1. */
  readonly attempt: number;
  readonly workflow: string;
  readonly version: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly sessionId: string;
  readonly userId: string;
  readonly traceparent: string;
  readonly parent: { readonly runId: string; readonly stepKey: string } | undefined;
  readonly cancelling: boolean;
}
