/** Half of a character that takes two UTF-16 units, without the other half. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Why a text cannot be a name, a key or an id; undefined: it can. Completes "The text …". */
export function textProblem(value: string): string | undefined {
  const nul = value.indexOf("\0");
  if (nul >= 0) return `contains a NUL character at index ${nul}`;
  if (value.isWellFormed()) return undefined;
  return `contains half a character (a lone surrogate) at index ${value.search(LONE_SURROGATE)}`;
}
