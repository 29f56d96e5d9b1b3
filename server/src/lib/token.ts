import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** A key for {@link signToken}. */
export function newSecret(): string {
  return randomBytes(32).toString("base64url");
}

/** Text and its signature (HMAC-SHA-256), fit for a URL. */
export function signToken(secret: string, text: string): string {
  const body = Buffer.from(text, "utf8").toString("base64url");
  return `${body}.${signatureOf(secret, body).toString("base64url")}`;
}

/** The text, signed or not: for finding out whose secret to check it with. */
export function readToken(token: string): string {
  return Buffer.from(token.split(".", 1)[0] ?? "", "base64url").toString("utf8");
}

export function isSigned(secret: string, token: string): boolean {
  const [body = "", signature = "", ...more] = token.split(".");
  // As text: Base64 has several spellings of the same bytes, and only one of them is the token.
  const given = Buffer.from(signature);
  const right = Buffer.from(signatureOf(secret, body).toString("base64url"));
  return more.length === 0 && given.length === right.length && timingSafeEqual(given, right);
}

function signatureOf(secret: string, body: string): Buffer {
  return createHmac("sha256", secret).update(body).digest();
}
