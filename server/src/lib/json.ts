/** JSON as it comes from outside: decoded strictly, and never deeper than what can be written again. */

/** `problem` completes the sentence "The text …". */
export class JsonError extends Error {
  override readonly name = "JsonError";
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Whether JSON has more than `max` arrays and objects inside each other. Reads no recursion's worth of stack. */
export function isDeeper(bytes: Uint8Array, max: number): boolean {
  // Each level takes two bytes.
  if (bytes.byteLength <= 2 * max) return false;
  let depth = 0;
  for (let i = 0; i < bytes.byteLength; i += 1) {
    switch (bytes[i]) {
      case QUOTE:
        i = endOfText(bytes, i + 1);
        break;
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        depth += 1;
        if (depth > max) return true;
        break;
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth -= 1;
    }
  }
  return false;
}

/** The index of the quotation mark that ends the text, or of the end of all. */
function endOfText(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.byteLength && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** @throws JsonError where it is not UTF-8 or JSON, or is nested too deeply */
export function parseJson(bytes: Uint8Array, depthMax: number): unknown {
  if (isDeeper(bytes, depthMax))
    throw new JsonError(`is nested more than ${depthMax} levels deep, which is too deep`);
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (cause) {
    throw new JsonError("is not valid UTF-8", { cause });
  }
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (cause) {
    // What V8 quotes of the text stays out: it is the sender's.
    const said = cause instanceof Error ? cause.message.replace(/, ".*/s, "") : String(cause);
    throw new JsonError(`is not JSON: ${said}`, { cause });
  }
}

/** Completes the sentence "The text …"; undefined: it is JSON. */
export function jsonProblem(bytes: Uint8Array, depthMax: number): string | undefined {
  try {
    parseJson(bytes, depthMax);
    return undefined;
  } catch (error) {
    if (error instanceof JsonError) return error.message;
    throw error;
  }
}

/** The value of JSON on record, no matter who wrote it; undefined where it cannot be read or written again. */
export function tryJson(
  bytes: Uint8Array,
  depthMax: number,
): { readonly value: unknown } | undefined {
  try {
    return { value: parseJson(bytes, depthMax) };
  } catch {
    // Shown as bytes by the caller.
    return undefined;
  }
}
