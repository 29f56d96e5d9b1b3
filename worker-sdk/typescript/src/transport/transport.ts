import type {
  DescMessage,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";

export interface CallOptions {
  /** Ends the call. */
  readonly abortSignal?: AbortSignal;
  /** How long the answer may take, in ms. Default: no limit. */
  readonly timeoutMs?: number;
}

/** A stream in both directions. */
export interface DuplexHandlers<O> {
  readonly onMessage: (message: O) => void;
  /** Called once; without an error when the other side has ended the stream in order. */
  readonly onEnd: (error: Error | undefined) => void;
}

export interface Duplex<I> {
  /**
   * `onSent`: it has left this process, or never will. Throws RequestError INVALID_ARGUMENT for a
   * message that cannot be encoded; the stream does not notice.
   */
  send(message: I, onSent?: () => void): void;
  /** What was sent is piling up: the other side reads too slowly. */
  readonly congested: boolean;
  /** No more messages from here. */
  end(): void;
  /** Ends the stream at once; `onEnd` still comes. */
  cancel(): void;
}

/**
 * How a server is reached. All calls fail with RequestError, whose reason is
 * UNAVAILABLE where no server answered.
 */
export interface Transport {
  /** Whether a call costs less as a frame of a stream than by itself. Default: no. */
  readonly prefersFrames?: boolean;
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): Promise<MessageShape<O>>;
  serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): AsyncIterable<MessageShape<O>>;
  clientStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    requests: Iterable<MessageInitShape<I>>,
    options?: CallOptions,
  ): Promise<MessageShape<O>>;
  duplex<I extends DescMessage, O extends DescMessage>(
    method: DescMethodBiDiStreaming<I, O>,
    handlers: DuplexHandlers<MessageShape<O>>,
  ): Duplex<MessageShape<I>>;
  /** Ends its connections. */
  close(): void;
}
