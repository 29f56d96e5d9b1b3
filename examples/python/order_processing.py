"""An order: reserve the stock, charge the card, ship it. A card that is declined releases the stock."""

import asyncio
import sys
from dataclasses import dataclass
from decimal import Decimal

from pawl import (
    Client,
    Context,
    Retry,
    StepContext,
    StepFailedError,
    TerminalError,
    Worker,
    exponential,
    step,
    workflow,
)


@dataclass
class Order:
    order_id: str
    item: str
    amount: Decimal
    card: str


@dataclass
class Receipt:
    order_id: str
    state: str
    charged: Decimal
    tracking: str | None = None


class CardDeclined(TerminalError):
    """No further attempt can help."""


@step
def reserve(item: str) -> str:
    print(f"  reserving {item}")
    return f"reservation-{item}"


@step(retry=Retry(max_attempts=5, backoff=exponential(base=2, max=60, initial=0.1)))
async def charge(ctx: StepContext, order: Order) -> Decimal:
    # The same for all attempts: the bank takes the money once, however often it is asked.
    print(f"  charging {order.amount} under {ctx.idempotency_key}, attempt {ctx.attempt}")
    if order.card == "declined":
        raise CardDeclined(f"the card for {order.order_id} was declined")
    if ctx.attempt == 1:
        raise ConnectionError("the bank did not answer")
    return order.amount


@step
def release(reservation: str) -> None:
    print(f"  releasing {reservation}")


@step
def ship(order_id: str) -> str:
    print(f"  shipping {order_id}")
    return f"track-{order_id}"


@workflow(id="order-{order_id}")
async def process_order(ctx: Context, order: Order) -> Receipt:
    reservation = await reserve(order.item)
    try:
        charged = await charge(order)
    except StepFailedError as error:
        await release(reservation)
        return Receipt(order.order_id, f"refused: {error}", Decimal(0))
    await ctx.sleep("0.2 s", name="packing")
    return Receipt(order.order_id, "shipped", charged, await ship(order.order_id))


async def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "A-1"
    async with Client() as client, Worker([process_order]):
        for order in (
            Order(name, "kettle", Decimal("49.90"), "visa"),
            Order(f"{name}-b", "teapot", Decimal("19.90"), "declined"),
        ):
            run = await client.start(process_order, order)
            print(await run.result())


asyncio.run(main())
