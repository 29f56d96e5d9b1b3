"""The SDK's bounds, with their units in their names. Those that the server also has are its defaults."""

from typing import Final

STEP_KEY_BYTES_MAX: Final = 512
NAME_BYTES_MAX: Final = 200
RUN_ID_BYTES_MAX: Final = 200
# A payload, in pieces.
PAYLOAD_BYTES_MAX: Final = 32 * 1024 * 1024
# A payload above this is uploaded first and sent by reference.
INLINE_PAYLOAD_BYTES_MAX: Final = 3 * 1024 * 1024
CHUNK_BYTES: Final = 1024 * 1024
# Frames of one session message together; the server takes 4 MiB.
SESSION_MESSAGE_BYTES_MAX: Final = 3 * 1024 * 1024
# One frame; a larger one would end the stream for all.
FRAME_BYTES_MAX: Final = 4 * 1024 * 1024 - 64 * 1024
FRAMES_PER_MESSAGE_MAX: Final = 1_000
# A step's input is shown to people up to this size.
SHOWN_INPUT_BYTES_MAX: Final = 4_096
MESSAGE_CHARS_MAX: Final = 8_192
# What a failure says, as the server keeps it.
FAILURE_MESSAGE_BYTES_MAX: Final = 8 * 1024
FAILURE_STACK_BYTES_MAX: Final = 16 * 1024
# The longest duration that the server takes: ten years.
DURATION_S_MAX: Final = 3_650 * 86_400
CAUSE_DEPTH_MAX: Final = 8
# What an error carries as `details`, encoded; more is dropped with a note.
DETAILS_BYTES_MAX: Final = 64 * 1024
# Keys in the report of a run's end.
REPORTED_KEYS_MAX: Final = 1_000
# Waits that are closed by one message.
CLOSED_WAITS_MAX: Final = 1_000
# How long the body of a step may take to settle after a cancel: this, or this part of the grace.
SETTLE_S: Final = 1.0
SETTLE_PART: Final = 0.25
CANCEL_GRACE_S: Final = 10.0
# A wait tree with longer keys than this together is left out: any wait wakes the run then.
TREE_BYTES_MAX: Final = 1024 * 1024
VALUE_DEPTH_MAX: Final = 200
# A lease that has just been given ends so long from the server's now.
LEASE_S: Final = 15.0
# How often leases are renewed, where the server has not said.
HEARTBEAT_S: Final = 5.0
# How long a worker that polls waits for work, in one call.
POLL_S: Final = 20.0
POLL_ITEMS_MAX: Final = 100
# A wait due sooner than this keeps the run in the worker.
HOT_WAIT_S: Final = 1.0
# A retry due sooner than this is waited for in the worker.
HOT_RETRY_S: Final = 2.0
# How long a run must be quiet before it is suspended.
SUSPEND_LINGER_S: Final = 0.02
# A run that could not be gone on with here is given back after this.
GIVE_BACK_AFTER_S: Final = 1.0
# A step that ends sooner than this is not announced: its completion says it all.
START_NOTE_S: Final = 0.002
# Live output is sent this often …
DELTA_FLUSH_S: Final = 0.025
# … or when this much has gathered;
DELTA_FLUSH_BYTES: Final = 4_096
# what does not fit into this while the server is slow or away is dropped.
DELTA_BUFFER_BYTES_MAX: Final = 8 * 1024 * 1024
DELTA_BATCH_EVENTS_MAX: Final = 2_000
DELTA_BATCH_BYTES_MAX: Final = 512 * 1024
# A stream that a proxy cuts is a large request's doing when it has happened so often.
SUSPECT_FRAME_BYTES: Final = 128 * 1024
SUSPECT_FRAME_TRIES: Final = 5
# How often live output is sent in vain by plain calls before it is given up, while others are answered.
DELTA_TRIES: Final = 6
# Delays computed from a backoff function.
DELAYS_MAX: Final = 100
JOURNAL_PAGE_ENTRIES: Final = 1_000
# How often the deliveries of a run look whether its code has arrived to rest.
QUIET_HOPS_MAX: Final = 10_000
