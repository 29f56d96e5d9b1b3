"""Goal: the examples, the stub worker and the README do what they say, and nothing twice.

Method: run each as a user does, in a process of its own; the examples twice; the stub is killed.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import ROOT, finish, python, until

from pawl import Client, RequestError

pytestmark = pytest.mark.usefixtures("server")
EXAMPLES = ROOT / "examples" / "python"
STUB = ROOT / "examples" / "stubs" / "python_worker.py"
README = ROOT / "worker-sdk" / "python" / "README.md"

#: What each prints at its first run, apart from the lines of its steps, which are indented.
PRINTED = {
    "order_processing": [
        "Receipt(order_id='T', state='shipped', charged=Decimal('49.90'), tracking='track-T')",
        "Receipt(order_id='T-b', state='refused: the card for T-b was declined', charged=Decimal('0'),"
        " tracking=None)",
    ],
    "etl": ["{'source': 'T', 'loaded': 3}"],
    "notification": [
        "email: email delivered",
        "sms: failed: no number is known",
        "push: push delivered",
    ],
    "blog_agent": [
        "Draft based on Research on T complete. ",
        "{'draft': 'Draft based on Research on T complete.'}",
    ],
    "approval": ["asked: Pay 120 for T, as ada approved?", "paid 120"],
    "loop": ["['PAWL 4', 'RATCHET 7', 'WHEEL 5']"],
}
#: How many lines its steps print.
EFFECTS = {
    "order_processing": 7,
    "etl": 5,
    "notification": 5,
    "blog_agent": 0,
    "approval": 1,
    "loop": 3,
}


def test_all_examples_are_tested() -> None:
    assert {file.stem for file in EXAMPLES.glob("*.py")} == PRINTED.keys()


@pytest.mark.together
async def test_examples_print_what_they_should_and_do_nothing_twice() -> None:
    async def run(name: str) -> list[str]:
        return await finish(python(str(EXAMPLES / f"{name}.py"), "T"))

    first = dict(zip(PRINTED, await asyncio.gather(*map(run, PRINTED)), strict=True))
    again = dict(zip(PRINTED, await asyncio.gather(*map(run, PRINTED)), strict=True))
    for name, wanted in PRINTED.items():
        effects = [line for line in first[name] if line.startswith("  ")]
        assert [line for line in first[name] if line not in effects] == wanted
        assert len(effects) == EFFECTS[name], effects
        assert not [line for line in again[name] if line.startswith("  ")]
        assert again[name][-1] == wanted[-1]


@pytest.mark.together
async def test_the_stub_worker_goes_on_after_a_kill() -> None:
    log = Path(tempfile.mkdtemp()) / "log"
    lines = [line.strip() for line in STUB.read_text().splitlines()]
    assert len([line for line in lines if line and not line.startswith("#")]) <= 120
    address = os.environ["PAWL_URL"].removeprefix("http://")

    def start() -> subprocess.Popen[str]:
        with log.open("a") as output:
            return subprocess.Popen([sys.executable, str(STUB), address], stdout=output, text=True)

    def printed(text: str) -> bool:
        return text in log.read_text()

    worker = start()
    try:
        async with Client() as client:
            handle = None
            while handle is None:
                try:
                    starter = client.with_options(run_id="stub-1")
                    handle = await starter.start("stub-order")
                except RequestError as error:
                    assert error.reason == "NOT_FOUND"
                    await asyncio.sleep(0.05)
            await until(lambda: printed("the run has left this worker: suspended"))
            worker.kill()
            worker.wait()
            worker = start()
            assert await handle.result() == "paid"
            keys = [
                entry.step_key
                async for entry in handle.journal()
                if entry.type == "workflow.step.completed"
            ]
    finally:
        worker.kill()
        worker.wait()
    assert keys == ["charge", "ship"]
    assert log.read_text().count("/charge") == 2


BLOCK = re.compile(r"```python\n(.*?)```\n+(?:```text\n(.*?)```)?", re.S)


@pytest.mark.together
@pytest.mark.parametrize("number", range(7))
async def test_the_programs_of_the_readme_print_what_it_says(number: int) -> None:
    program, wanted = BLOCK.findall(README.read_text())[number]
    file = Path(tempfile.mkdtemp()) / "program.py"
    file.write_text(program)
    assert await finish(python(str(file))) == wanted.splitlines()


def test_no_program_of_the_readme_is_left_out() -> None:
    assert len(BLOCK.findall(README.read_text())) == 7
