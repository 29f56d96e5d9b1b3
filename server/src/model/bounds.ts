/**
 * Every bound of the server, in one place. Those that a client must know are
 * reported in `Welcome`.
 */
const KIB = 1024;
const MIB = 1024 * KIB;

export const BOUNDS = Object.freeze({
  /** A payload up to this size lives in its journal row; a larger one in the payload table. */
  inlinePayloadBytes: 64 * KIB,
  /** One gRPC or HTTP message, both ways. */
  messageBytes: 4 * MIB,
  /** One payload, whichever way it came. */
  payloadBytes: 32 * MIB,
  /** A piece of an upload or download. */
  payloadPieceBytes: 1 * MIB,
  /** What is kept of a step's input, for people to look at. */
  keptInputBytes: 4 * KIB,
  stepKeyBytes: 512,
  nameBytes: 200,
  idBytes: 200,
  /** A limit's key, with the values of its variables. */
  flowKeyBytes: 1 * KIB,
  tags: 64,
  tagKeyBytes: 64,
  tagValueBytes: 256,
  openWaitsPerRun: 10_000,
  /** Children of a run that are cancelled with it. */
  childrenPerRun: 10_000,
  questionBytes: 64 * KIB,
  questionOptions: 200,
  optionBytes: 1 * KIB,
  assignees: 100,
  reminders: 20,
  answerBytes: 256 * KIB,
  commentBytes: 8 * KIB,
  /** What is posted to a callback URL. */
  callbackBytes: 4 * MIB,
  answerLinkMs: 7 * 86_400_000,
  answerLinkMaxMs: 365 * 86_400_000,
  /** Sleeps that are over sooner are in no list of waits: their rows would cost more than they tell. */
  listedSleepMs: 2_000,
  /** Listed with a waiting run. */
  shownWaits: 100,
  /** Schemas, details of a failure and the like. */
  documentBytes: 256 * KIB,
  /** Arrays and objects inside each other, in JSON that the server reads. */
  jsonDepth: 400,
  /** Checks by JSON Schema that may take long (engine/schemas/checker.ts). */
  schemaThreads: 2,
  schemaCheckMs: 250,
  schemaPrepareMs: 10_000,
  schemaChecksQueued: 1_000,
  failureMessageBytes: 8 * KIB,
  failureStackBytes: 16 * KIB,
  failureCauses: 8,
  /** What leaves in an error; some clients take 8 KiB of trailers in all. */
  errorMessageBytes: 1 * KIB,
  errorMetadataBytes: 2 * KIB,
  /** Durations and delays: about ten years. */
  durationMs: 3_650 * 86_400_000,

  /** Journal sent along with a dispatch; the rest is fetched by page. */
  dispatchJournalBytes: 1 * MIB,
  journalPageEntries: 1_000,
  journalPageBytes: 1 * MIB,
  listPageDefault: 50,
  listPageMax: 500,

  leaseMs: 15_000,
  heartbeatMs: 5_000,
  /** A closed connection's leases wait this long for it to come back. */
  reconnectGraceMs: 500,
  /** How often it is looked whether the workers of waiting runs were told all that is on record. */
  newsMs: 2_000,
  /** What is on record is told within this time, unless it was lost. */
  newsSettledMs: 100,
  /** After a server start, leases of its predecessor wait this long for their workers. */
  restartGraceMs: 1_500,
  dispatchAckMs: 3_000,
  pollWaitMs: 30_000,
  waitRunMs: 60_000,
  cancelGraceMs: 10_000,
  cancelGraceMaxMs: 3_600_000,
  /** How much later than the worker the server enforces a step's timeout. */
  stepTimeoutSlackMs: 2_000,
  /** A step that runs longer than this has its start written. */
  startWrittenAfterMs: 100,
  /** Deaths in a row, without an end of a step recorded, after which a worker gets no other such run. */
  suspectCrashes: 2,
  /** Deaths in a row that pause a run, where none of them was in a step that is known. */
  crashLoopAttempts: 20,

  /** A refused run is offered again after this long, which doubles with every further refusal. */
  refusalPauseMs: 100,
  refusalPauseMaxMs: 30_000,
  /** A run that was not refused for so long starts anew. */
  refusalForgottenMs: 120_000,
  /** Refused runs that a server remembers. */
  refusedRuns: 10_000,

  /** Commands and bytes in one commit. */
  batchCommands: 1_024,
  batchBytes: 8 * MIB,
  /** Commands that wait for a commit before callers are told to back off. */
  queuedCommands: 50_000,
  /** How often a command is decided anew because the run had changed meanwhile. */
  decideAttempts: 20,
  /** Step records that the engine keeps in memory, over all runs. */
  cachedSteps: 400_000,
  cachedRuns: 20_000,
  /** Runs in one claim: few, so that nobody waits for a large one (engine/workers/dispatcher.ts). */
  claimRuns: 32,
  connectionCredits: 10_000,
  dueItems: 500,
  /** Due work that a server has taken is not taken by another for so long. */
  dueHoldMs: 2_000,
  expiredLeases: 500,
  /** Old runs that are looked at together, and how many entries those may have that are deleted together. */
  prunedRuns: 100,
  prunedEntries: 2_000,
  /** Pages of 4 KiB that a SQLite file gives back at a time. */
  shrunkPages: 500,
  /** Runs that pass one gate at a time. */
  admittedRuns: 500,
  /** The largest concurrency or rate limit. */
  flowLimitMax: 100_000,
  /** Starts that are joined into one run. */
  debouncedStarts: 900,
  ratePeriodMaxMs: 31 * 86_400_000,
  connections: 10_000,
  connectionBufferedBytes: 64 * MIB,
  /** Frames of one connection that are being worked on before its stream is no longer read. */
  connectionPendingFrames: 8_192,
  /** How many runs of the ready queues are looked at to tell how long the queues are. */
  readyRunsCounted: 10_000,
  /** Queues that have metrics of their own. */
  queuesShown: 50,
  watchersPerReplica: 10_000,
  /** Runs below the watched one that a watcher follows at once; each has a place in its cursor. */
  watchedChildren: 64,
  /** Events and bytes of a run that its watchers share; who falls behind them is let go. */
  watcherBufferedEvents: 5_000,
  watcherBufferedBytes: 4 * MIB,
  /** A comment on a quiet event stream, for proxies that close quiet connections. */
  eventStreamHeartbeatMs: 15_000,
  eventStreamHeartbeatMaxMs: 60_000,
  /** What a client of an event stream waits before it comes back. */
  eventStreamRetryMs: 1_000,
  /** A watcher that reads nothing for so long is let go; it has its cursor. */
  slowReaderMs: 30_000,
  /** One delta's payload, inline. */
  deltaPayloadBytes: 256 * KIB,
  /** A chunk of deltas, but for its last one. */
  deltaChunkBytes: 128 * KIB,
  deltaChunkEvents: 5_000,
  /** Deltas on their way to the store; what does not fit is dropped, and told as a gap. */
  deltaBytesPendingPerRun: 4 * MIB,
  deltaBytesPending: 64 * MIB,
  /** Deltas that are kept of a run until they are superseded; the oldest go first. */
  deltaBytesKeptPerRun: 16 * MIB,
  /** Deltas that are kept as long as the journal, of one lease; more are kept as all others. */
  deltaBytesDurable: 16 * MIB,
  /** Chunks of all runs are written at most this often, and later the more there are. */
  deltaFlushMinMs: 4,
  deltaFlushMaxMs: 150,
  /** What was superseded stays so long for watchers that come back. */
  deltaGraceMs: 60_000,
  deltaPageChunks: 500,
  workflows: 10_000,
});
