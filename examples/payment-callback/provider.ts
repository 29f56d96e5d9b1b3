/**
 * The payment provider, a process that knows nothing of Pawl: takes orders by POST, and calls the
 * URL that it was given once the customer has paid, which takes 300 ms. Prints its own URL first.
 * Amounts of 13 are never paid.
 */
import { createServer, type IncomingMessage } from "node:http";
import { json } from "node:stream/consumers";

interface Order {
  readonly orderId: string;
  readonly amount: number;
  readonly callbackUrl: string;
}

/** Orders by idempotency key: who asks again gets no second payment. */
const taken = new Set<string>();

async function take(request: IncomingMessage): Promise<void> {
  const order = (await json(request)) as Order;
  const key = String(request.headers["idempotency-key"]);
  console.log(`${order.orderId}: ${taken.has(key) ? "is known" : "taken"}`);
  if (taken.has(key) || order.amount === 13) return;
  taken.add(key);
  setTimeout(() => void callBack(order), 300);
}

async function callBack({ orderId, callbackUrl }: Order): Promise<void> {
  const body = JSON.stringify({ reference: `paid-${orderId}` });
  const headers = { "content-type": "application/json" };
  for (let attempt = 1; attempt <= 20; attempt += 1) {
    const status = await fetch(callbackUrl, { method: "POST", headers, body }).then(
      (response) => response.status,
      () => 0,
    );
    console.log(`${orderId}: called back, ${status || "nobody there"}`);
    if (status !== 0 && status < 500) return;
    await new Promise((next) => setTimeout(next, 250 * attempt));
  }
}

const server = createServer((request, response) => {
  take(request).then(
    () => response.writeHead(202).end(),
    () => response.writeHead(400).end(),
  );
});
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => {
  const address = server.address();
  if (typeof address === "object" && address !== null) {
    console.log(`http://127.0.0.1:${address.port}`);
  }
});
process.once("SIGTERM", () => process.exit(0));
