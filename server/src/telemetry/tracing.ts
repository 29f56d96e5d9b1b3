/** Spans of the server, without knowing whose they are. */

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** A span that is over. Times in ms since the epoch. */
export interface FinishedSpan {
  readonly name: string;
  /** W3C context of the trace that it belongs to. */
  readonly traceparent: string;
  /** Instead of the span that `traceparent` names. */
  readonly parentId?: string;
  /** Default: random. */
  readonly spanId?: string;
  readonly start: number;
  readonly end: number;
  readonly attributes: SpanAttributes;
  /** The type of what went wrong. */
  readonly errorType?: string;
}

export interface Tracing {
  /**
   * Does something within a span of its own, below `traceparent` or at the root of a new trace;
   * `work` gets the span's own context, and answers the attributes that are known only at its end.
   */
  serve<T>(
    name: string,
    traceparent: string,
    work: (
      traceparent: string,
    ) => Promise<{ readonly answer: T; readonly attributes: SpanAttributes }>,
  ): Promise<T>;
  finished(span: FinishedSpan): void;
}
