import { createHash, randomBytes, randomUUID } from "node:crypto";

/** A UUIDv7 (RFC 9562, 5.7): sorts by the millisecond of its making. */
export function uuidv7(now: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(now, 0, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** A name for this process or connection that nobody else has. */
export function uniqueId(): string {
  return randomUUID();
}

/** That many random bytes, in hex. */
export function randomHex(bytes: number): string {
  return randomBytes(bytes).toString("hex");
}

/** That many characters, each as likely as any other of these. */
export function randomText(count: number, characters: string): string {
  // Larger bytes would favor some characters.
  const fair = 256 - (256 % characters.length);
  let text = "";
  while (text.length < count) {
    for (const byte of randomBytes(count))
      if (byte < fair && text.length < count) text += characters[byte % characters.length];
  }
  return text;
}

/** Hex SHA-256 over the parts, each preceded by its length so that no two lists collide. */
export function digest(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) {
    const bytes = typeof part === "string" ? Buffer.from(part, "utf8") : part;
    hash.update(`${bytes.byteLength}:`).update(bytes);
  }
  return hash.digest("hex");
}

/** Hex SHA-256 of the bytes alone: the address of a payload. */
export function sha256(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
