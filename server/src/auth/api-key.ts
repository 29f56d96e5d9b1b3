/**
 * The text of an API key: `pawl_sk_` or `pawl_op_` (an operator's), 30 random characters of 62, and 6
 * characters of checksum, by which scanners of secrets recognize it and mistyped ones are refused
 * without a look at the store. The randomness (178 bits) is why a fast digest is enough.
 */
import { hash } from "node:crypto";
import { crc32 } from "node:zlib";
import { randomText } from "../lib/ids.ts";
import type { KeyKind } from "../model/api-key.ts";

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_CHARS = 30;
const SUM_CHARS = 6;
const KEY_ID_CHARS = 14;
const PREFIXES: Readonly<Record<KeyKind, string>> = { service: "pawl_sk_", operator: "pawl_op_" };
const FORM = new RegExp(`^pawl_(?:sk|op)_[0-9A-Za-z]{${RANDOM_CHARS + SUM_CHARS}}$`);

export function newApiKey(kind: KeyKind): string {
  const body = PREFIXES[kind] + randomText(RANDOM_CHARS, DIGITS);
  return body + checksum(body);
}

export function newKeyId(): string {
  return `key_${randomText(KEY_ID_CHARS, DIGITS)}`;
}

export function isApiKey(text: string): boolean {
  if (!FORM.test(text)) return false;
  return text.endsWith(checksum(text.slice(0, -SUM_CHARS)));
}

/** What is stored of a key, in hex. */
export function keyDigest(key: string): string {
  return hash("sha256", key, "hex");
}

function checksum(body: string): string {
  let rest = crc32(body);
  let digits = "";
  while (digits.length < SUM_CHARS) {
    digits = `${DIGITS[rest % DIGITS.length]}${digits}`;
    rest = Math.floor(rest / DIGITS.length);
  }
  return digits;
}
