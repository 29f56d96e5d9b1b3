/** The first Node with everything that the server uses, as `engines` in package.json says it. */
const NEEDED = [24, 7] as const;

/** Says what is wrong with a version of Node; undefined if the server runs on it. */
export function nodeProblem(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [needed, neededMinor] = NEEDED;
  if (major > needed || (major === needed && minor >= neededMinor)) return undefined;
  return `Pawl needs Node ${NEEDED.join(".")} or newer; this is ${version}.`;
}
