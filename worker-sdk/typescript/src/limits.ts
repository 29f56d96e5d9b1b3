/**
 * The SDK's bounds, with their units in their names. Those that the server also
 * has are the server's defaults; `Welcome.limits` may lower them for a session.
 */
export const limits = Object.freeze({
  /** A step key, scope path included. */
  stepKeyBytesMax: 512,
  /** A step's, workflow's, signal's or event type's name. */
  nameBytesMax: 200,
  runIdBytesMax: 200,
  /** A payload, in pieces. */
  payloadBytesMax: 32 * 1024 * 1024,
  /** A payload above this is uploaded first and sent by reference. */
  inlinePayloadBytesMax: 3 * 1024 * 1024,
  chunkBytes: 1024 * 1024,
  /** Frames of one session message together; the server takes 4 MiB. */
  sessionMessageBytesMax: 3 * 1024 * 1024,
  framesPerMessageMax: 1_000,
  /** A frame of this size may be what a proxy ends the stream for; it is given up after that many times. */
  suspectFrameBytes: 128 * 1024,
  suspectFrameTries: 5,
  /** A step's input is shown to people up to this size. */
  shownInputBytesMax: 4_096,
  /** Of an error, as the server keeps it. */
  messageBytesMax: 8 * 1024,
  stackBytesMax: 16 * 1024,
  causesMax: 8,
  /** What an error carries as `details`, encoded; more is dropped with a note. */
  detailsBytesMax: 64 * 1024,
  /** Keys in the report of a run's end. */
  reportedKeysMax: 1_000,
  /** A wait tree with longer keys than this together is left out: any wait wakes the run then. */
  treeBytesMax: 1024 * 1024,
  valueDepthMax: 500,
  /** Any length of time: ten years. */
  durationMsMax: 3_650 * 86_400_000,
  /** How long the server gives a run out for. */
  leaseMs: 15_000,
  /** A wait due sooner than this keeps the run in the worker. */
  hotWaitMs: 1_000,
  /** A retry due sooner than this is waited for in the worker. */
  hotRetryMs: 2_000,
  /** How long a run must be quiet before it is suspended. */
  suspendLingerMs: 20,
  /** What a clean-up may take where the platform does not say. */
  cancelGraceMs: 10_000,
  /** How long a body may continue after a cancel, at most; otherwise a quarter of the grace. */
  cancelPatienceMs: 1_000,
  /** Waits that are closed by one message. */
  closedWaitsMax: 1_000,
  /** A run that could not be gone on with here is given back after this. */
  giveBackAfterMs: 1_000,
  /** Live output is sent this often … */
  deltaFlushMs: 25,
  /** … or when this much has gathered; */
  deltaFlushBytes: 4_096,
  /** what does not fit into this while the server is slow or away is dropped. */
  deltaBufferBytesMax: 8 * 1024 * 1024,
  /** One batch of a run. */
  deltaBatchEventsMax: 2_000,
  deltaBatchBytesMax: 512 * 1024,
  /** Delays computed from a backoff function. */
  delaysMax: 100,
  journalPageEntries: 1_000,
  /** Recorded results that a run keeps in memory for its replay; it reads the others as it comes to them. */
  memoPayloadBytesMax: 4 * 1024 * 1024,
});
