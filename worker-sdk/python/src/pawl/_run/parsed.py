"""Values that types turned out: the input, and answers to forms. They are parsed once. Where the parsed
value differs from what was sent it is on record, so that a default that is made up, or a stricter type
that was deployed later, changes nothing for a run that is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._codec.encode import to_json
from .._codec.payload import Encoded, decode, digest_text, encode
from .._codec.typed import build_as, builder, restore
from .._lib import limits
from .._lib.text import exceeds_bytes
from ..errors import InvalidValueError
from ..v1 import step_pb2 as pb
from ..v1.common_pb2 import STEP_KIND_VALUE, Payload
from .memo import Record
from .payloads import upload

if TYPE_CHECKING:
    from .run import Run
    from .signature import InputSignature

_INPUT_KEY = "value:input"


def _answer_key(wait_key: str) -> str:
    key = f"value:answer:{wait_key}"
    if exceeds_bytes(key, limits.STEP_KEY_BYTES_MAX):
        return f"value:answer:{digest_text(wait_key)}"
    return key


async def arguments(
    run: Run, signature: InputSignature, payload: Payload | None, what: str
) -> dict[str, Any]:
    """A workflow's arguments, as they were when the run began."""
    if not signature.parses:
        return signature.arguments_of(await _whole(run, payload))
    recorded = run.memo.take(_INPUT_KEY)
    if recorded is not None:
        payload = recorded.payload
    sent = await _whole(run, payload)
    if recorded is not None or run.memo.last_work_seq > 0:
        # It was parsed when the code first ran.
        return signature.arguments_of(sent, again=True)
    encoded = encode(signature.sent_as(signature.arguments_of(sent)), what)
    if encoded.json != to_json(sent, what, True)[0]:
        _keep(run, _INPUT_KEY, "input", encoded, what)
    return signature.arguments_of(encoded.decoded())


async def _whole(run: Run, payload: Payload | None) -> Any:
    if payload is not None and payload.HasField("ref"):
        payload = await run.link.download(payload)
    return decode(payload)


def answer(run: Run, kind: Any, wait_key: str, seq: int, value: Any, what: str) -> Any:
    """The answer to the form with that key, as it was when it came."""
    key = _answer_key(wait_key)
    recorded = run.memo.take(key)
    build = builder(kind)
    if recorded is not None:
        return restored(build, kind, decode(recorded.payload), what)
    if run.memo.was_handed_out(seq):
        return restored(build, kind, value, what)
    encoded = encode(build_as(build, value, what), what)
    if encoded.json != to_json(value, what, True)[0]:
        _keep(run, key, "answer", encoded, what)
    return build_as(build, encoded.decoded(), what)


def restored(build: Callable[[Any], Any] | None, kind: Any, data: Any, what: str) -> Any:
    """A value that fitted its type when it came: a rule that is stricter by now does not count."""
    try:
        return build_as(build, data, what)
    except InvalidValueError:
        return restore(kind, data)


def _keep(run: Run, key: str, name: str, encoded: Encoded, what: str) -> None:
    """Records a value ahead of whatever the run records next."""
    attempt = run.memo.attempts(key) + 1

    async def record() -> None:
        output = await upload(run.link, encoded, what)
        recorded: asyncio.Future[int] = run.loop.create_future()

        def message() -> pb.StepCompletedRequest:
            return pb.StepCompletedRequest(
                run_id=run.run_id,
                fence=run.fence,
                step_key=key,
                attempt=attempt,
                output=output,
                name=name,
                kind=STEP_KIND_VALUE,
            )

        run.send_first(
            "step_completed",
            message,
            lambda response: recorded.set_result(response.seq),
            recorded.set_exception,
        )
        seq = await recorded
        run.memo.remember(
            key, Record(seq=seq, kind=STEP_KIND_VALUE, attempt=attempt, payload=output)
        )

    run.record_first(record)
