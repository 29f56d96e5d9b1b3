/** The length in bytes of a text in UTF-8, cheaply where it is short enough to fit anyway. */
export function exceedsBytes(text: string, bytesMax: number): boolean {
  return text.length * 3 > bytesMax && Buffer.byteLength(text) > bytesMax;
}

/** A text as the server keeps it where it is for people: well-formed, without NUL, and not too long. */
export function clipBytes(text: string, bytesMax: number): string {
  const clean = text.toWellFormed().replaceAll("\0", "\ufffd");
  if (!exceedsBytes(clean, bytesMax)) return clean;
  const bytes = Buffer.from(clean).subarray(0, Math.max(0, bytesMax - 3));
  return `${bytes.toString("utf8").replace(/\ufffd+$/, "")}…`;
}

function percent(char: string): string {
  let out = "";
  for (const byte of Buffer.from(char, "utf8")) {
    out += `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}

/** What counts as white space in questions: the same list in all SDKs. */
const space = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+/g;

/** The text on one line: every run of white space is one space, and none is at the ends. */
export function collapseSpace(text: string): string {
  return text.replace(space, " ").replace(/^ | $/g, "");
}

/**
 * What is in a text that cannot be a part of a name: NUL, which PostgreSQL cannot store, or half of
 * a surrogate pair, which UTF-8 cannot say. Undefined where there is nothing of the kind.
 */
export function textFault(text: string): string | undefined {
  if (text.isWellFormed() && !text.includes("\0")) return undefined;
  let position = 0;
  for (const character of text) {
    position += 1;
    if (character === "\0") return `a NUL as character ${position}`;
    if (!character.isWellFormed())
      return `half of a surrogate pair as character ${position} (a text that was cut within an emoji, perhaps)`;
  }
  return undefined;
}

/** Percent-escapes every character that `reserved` (a global pattern) matches. */
export function escapeChars(text: string, reserved: RegExp): string {
  return text.replace(reserved, percent);
}

/** The first place in a stack that `isOurs` does not claim, as file:line:column. */
export function callSite(stack: string | undefined, isOurs: (line: string) => boolean): string {
  const lines = (stack ?? "").split("\n").slice(1);
  const line = lines.find((candidate) => !isOurs(candidate));
  const match =
    line === undefined ? undefined : /\(?((?:file:\/\/)?[^()\s]+:\d+:\d+)\)?$/.exec(line.trim());
  return match?.[1]?.replace(/^file:\/\//, "") ?? "an unknown place";
}
