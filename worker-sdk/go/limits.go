package pawl

import "time"

// The SDK's bounds. Those that the server also has are the server's defaults.
const (
	stepKeyBytesMax = 512
	nameBytesMax    = 200
	runIDBytesMax   = 200

	// A payload above this is uploaded first and sent by reference.
	inlinePayloadBytesMax = 3 << 20
	payloadBytesMax       = 32 << 20
	chunkBytes            = 1 << 20
	// Frames of one connection message together; the server takes 4 MiB.
	sessionMessageBytesMax = 3 << 20
	// What a single frame may have beyond that, and still be taken.
	frameSlack          = 512 << 10
	framesPerMessageMax = 1_000
	// A frame without payloads has about this at most.
	frameBytes = 512
	// The largest message that is read.
	receiveBytesMax = 8 << 20

	// The longest that the server takes.
	durationMax = 3_650 * 24 * time.Hour

	// Of values with tags.
	nestingMax = 1_000
	// Larger integers are not exact as JavaScript's numbers.
	safeIntegerMax = 1<<53 - 1

	shownInputBytesMax = 4_096
	messageBytesMax    = 8_192
	stackBytesMax      = 8_192
	detailsBytesMax    = 64 << 10
	causeDepthMax      = 8
	errorTreeMax       = 64
	reportedKeysMax    = 1_000
	treeBytesMax       = 1 << 20
	delaysMax          = 100

	// For how long the server hands a run out.
	leaseTime = 15 * time.Second
	// A wait due sooner than this keeps the run in the worker.
	hotWait = time.Second
	// A retry due sooner than this is waited for in the worker.
	hotRetry = 2 * time.Second
	// The grace of a cancel, where the server has not said, and how much of it bodies get at most to end.
	cancelGrace = 10 * time.Second
	settleMax   = time.Second
	// How long a run must be quiet before it is suspended.
	suspendLinger = 20 * time.Millisecond
	// A run that could not be gone on with here is given back after this.
	giveBackAfter = time.Second
	// The code of a run that has left is expected to be over after this.
	leftoverAfter = 10 * time.Second
	// Results wait for code between two calls at most this long, see deliveries.go; in turns of a timer.
	turnMax  = 2 * time.Second
	turnTick = 50 * time.Millisecond
	// The start of a step is announced if it runs this long.
	noteAfter = 5 * time.Millisecond

	// Live output is sent this often, or when this much has gathered; what does
	// not fit into the buffer while the server is slow or away is dropped.
	deltaFlush          = 25 * time.Millisecond
	deltaFlushBytes     = 4_096
	deltaBufferBytesMax = 8 << 20
	deltaBatchEventsMax = 2_000
	deltaBatchBytesMax  = 512 << 10
	// A stream that a proxy cuts is a large request's doing when it has happened so often.
	suspectFrameBytes = 128 << 10
	suspectFrameTries = 5
	// How often live output is sent in vain by plain calls before it is given up, while others are answered.
	deltaTries = 6

	// How often it is looked whether the process is alive, and for how long it may not have been.
	pulseEvery = 100 * time.Millisecond
	stillMax   = 500 * time.Millisecond
	// How often leases are renewed, where the server has not said.
	heartbeatInterval = 5 * time.Second
	// How long a worker that polls waits for work, in one call.
	pollWait     = 20 * time.Second
	pollItemsMax = 100

	journalPageEntries = 1_000

	// How long one call waits for the end of a run; it is made again.
	resultWait = 30 * time.Second
	// How long a client's stream without calls stays open.
	callStreamIdle = 50 * time.Millisecond

	// A response to a browser begins when the watch has not been refused for so long, and ends when the browser
	// has not read for so long.
	refusalWait    = 100 * time.Millisecond
	readerPatience = 30 * time.Second
)
