"""An expense that somebody has to approve: by a signal within a time, then by an answer to a question.

While it waits, the run holds no worker: stop this program, start it again, and it continues.
"""

import asyncio
import sys

from pawl import Client, Context, Worker, step, workflow


@step
def pay(expense: str, amount: int) -> str:
    print(f"  paying {amount} for {expense}")
    return f"paid {amount}"


@workflow(id="expense-{expense}")
async def approve_expense(ctx: Context, expense: str, amount: int) -> str:
    decision = await ctx.signal("approved", timeout="7 days", default={"ok": False, "by": "nobody"})
    if not decision["ok"]:
        return f"rejected by {decision['by']}"
    answer = await ctx.wait_for_user(
        f"Pay {amount} for {expense}, as {decision['by']} approved?", type="approval"
    )
    return await pay(expense, amount) if answer else f"stopped: {answer.comment}"


async def answer_question(client: Client, run_id: str) -> None:
    """What a person does with `pawl waits` and `pawl approve`."""
    while not (questions := await client.waits(run_id=run_id, kinds=["user"])):
        await asyncio.sleep(0.05)
    if (question := questions[0].question) is not None:
        print(f"asked: {question.prompt}")
    await client.answer(questions[0].wait_id, True, actor="grace", comment="within budget")


async def main() -> None:
    expense = sys.argv[1] if len(sys.argv) > 1 else "train-ticket"
    async with Client() as client, Worker([approve_expense]):
        run = await client.start(approve_expense, expense, amount=120)
        if (await run.get()).ended_at is None:
            await run.signal("approved", {"ok": True, "by": "ada"}, signal_id="ada-1")
            await answer_question(client, run.run_id)
        print(await run.result())


asyncio.run(main())
