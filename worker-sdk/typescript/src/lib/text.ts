/** The length in bytes of a text in UTF-8, cheaply where it is short enough to fit anyway. */
export function exceedsBytes(text: string, bytesMax: number): boolean {
  return text.length * 3 > bytesMax && Buffer.byteLength(text) > bytesMax;
}

function percent(char: string): string {
  let out = "";
  for (const byte of Buffer.from(char, "utf8")) {
    out += `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
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
