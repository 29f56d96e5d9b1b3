/**
 * Arrays of values and of rows as parameters in PostgreSQL's binary format. The driver would write them as text, payloads
 * as hex, at twice the size and several times the time.
 */
export type ColumnType = "int4" | "int8" | "text" | "bytea";
export type Value = string | number | Uint8Array | null;

const INT4_MAX = 0x7fff_ffff;

/**
 * A number as a column of type int4 can be compared with it. Clients name fences and places in
 * journals as uint32; no row has one beyond int4, so the largest one stands for all of those.
 */
export function comparableInt4(value: number): number {
  return Math.min(value, INT4_MAX);
}

const OIDS: Readonly<Record<ColumnType, number>> = { int4: 23, int8: 20, text: 25, bytea: 17 };

const HEADER_BYTES = 20;
const LENGTH_BYTES = 4;
const OID_BYTES = 4;
const NULL_LENGTH = -1;

export function encodeArray(type: ColumnType, values: readonly Value[]): Buffer {
  if (values.length === 0) return encodeHeader(Buffer.alloc(12), OIDS[type], 0);
  let size = HEADER_BYTES + LENGTH_BYTES * values.length;
  for (const value of values) size += byteLength(type, value);
  const buffer = encodeHeader(Buffer.allocUnsafe(size), OIDS[type], values.length);
  let offset = HEADER_BYTES;
  for (const value of values) offset = writeElement(buffer, offset, type, value);
  return buffer;
}

/**
 * Rows as an array of the composite type with the object id `oid` and columns of these types, as
 * PostgreSQL's `array_recv` and `record_recv` read it.
 */
export function encodeRows(
  oid: number,
  types: readonly ColumnType[],
  rows: readonly (readonly Value[])[],
): Buffer {
  if (rows.length === 0) return encodeHeader(Buffer.alloc(12), oid, 0);
  const rowBytes = 2 * LENGTH_BYTES + types.length * (OID_BYTES + LENGTH_BYTES);
  let size = HEADER_BYTES + rowBytes * rows.length;
  for (const row of rows) {
    for (let i = 0; i < types.length; i += 1)
      size += byteLength(types[i] ?? "text", row[i] ?? null);
  }
  const buffer = encodeHeader(Buffer.allocUnsafe(size), oid, rows.length);
  let offset = HEADER_BYTES;
  for (const row of rows) {
    const start = offset;
    buffer.writeInt32BE(types.length, start + LENGTH_BYTES);
    offset += 2 * LENGTH_BYTES;
    for (let i = 0; i < types.length; i += 1) {
      const type = types[i] ?? "text";
      buffer.writeInt32BE(OIDS[type], offset);
      offset = writeElement(buffer, offset + OID_BYTES, type, row[i] ?? null);
    }
    buffer.writeInt32BE(offset - start - LENGTH_BYTES, start);
  }
  return buffer;
}

function encodeHeader(buffer: Buffer, oid: number, length: number): Buffer {
  buffer.writeInt32BE(length === 0 ? 0 : 1, 0); // dimensions
  buffer.writeInt32BE(1, 4); // may hold nulls
  buffer.writeUInt32BE(oid, 8);
  if (length === 0) return buffer;
  buffer.writeInt32BE(length, 12);
  buffer.writeInt32BE(1, 16); // lower bound
  return buffer;
}

function byteLength(type: ColumnType, value: Value): number {
  if (value === null) return 0;
  if (typeof value === "number") return type === "int4" ? 4 : 8;
  return typeof value === "string" ? Buffer.byteLength(value) : value.byteLength;
}

/** Returns the offset after the element. */
function writeElement(buffer: Buffer, start: number, type: ColumnType, value: Value): number {
  const offset = start + LENGTH_BYTES;
  if (value === null) {
    buffer.writeInt32BE(NULL_LENGTH, start);
    return offset;
  }
  let length: number;
  if (typeof value === "string") length = buffer.write(value, offset);
  else if (typeof value !== "number") {
    buffer.set(value, offset);
    length = value.byteLength;
  } else if (type === "int4") {
    buffer.writeInt32BE(value, offset);
    length = 4;
  } else {
    writeInt64(buffer, value, offset);
    length = 8;
  }
  buffer.writeInt32BE(length, start);
  return offset + length;
}

const TWO_32 = 2 ** 32;

/** Needs no bigint in between, and is exact for every safe integer. */
function writeInt64(buffer: Buffer, value: number, offset: number): void {
  const high = Math.floor(value / TWO_32);
  buffer.writeInt32BE(high, offset);
  buffer.writeUInt32BE(value - high * TWO_32, offset + 4);
}
