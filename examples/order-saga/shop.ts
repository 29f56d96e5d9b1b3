/**
 * The other parties of an order, as a file: stock, bank and courier each write a line for what they
 * did. Like real ones they take an idempotency key, so that asking twice does it once.
 */
import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";

export type Deed = "reserve" | "release" | "charge" | "refund" | "book" | "unbook";

export interface Line {
  readonly deed: Deed;
  readonly orderId: string;
  readonly key: string;
  readonly amount?: number;
}

/** All that was done, in order. */
export async function readLedger(dir: string): Promise<Line[]> {
  const text = await readFile(fileIn(dir), "utf8").catch(() => "");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): Line => JSON.parse(line));
}

/** Does it, unless it was done under that key. */
export async function act(dir: string, line: Line): Promise<string> {
  const known = (await readLedger(dir)).some(({ key }) => key === line.key);
  if (!known) await appendFile(fileIn(dir), `${JSON.stringify(line)}\n`);
  return `${line.deed}-${line.orderId}`;
}

function fileIn(dir: string): string {
  return join(dir, "ledger.jsonl");
}
