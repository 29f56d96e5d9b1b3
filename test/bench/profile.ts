/**
 * Where the CPU time of a server's engine thread goes, by part: from samples of its stack. A sample
 * belongs to the innermost frame that tells; what several parts share, such as HTTP/2 or a commit, has
 * lines of its own.
 */
import { type Profiler, type Runtime, Session } from "node:inspector/promises";

/** CPU time in ms by part, such as `start` or `shared: HTTP/2`. */
export type PartTimes = Readonly<Record<string, number>>;

interface Rule {
  readonly part: string;
  /** Of the file's address. */
  readonly file: RegExp;
  /** Of the function's name; any by default. */
  readonly name?: RegExp;
}

/** Idle time, and what the profile itself takes. */
const uncounted = "uncounted";

/** The first rule that a frame fits decides. */
const rules: readonly Rule[] = [
  { part: uncounted, file: /^node:inspector$/ },
  { part: "start", file: /\/engine\/runs\//, name: /start|idFor|inputDigest|check|announce/i },
  { part: "start", file: /\/(decide\/start-rules|debounced-start|input-schema|admission)\.ts$/ },
  { part: "start", file: /\/convert\/run-messages\.ts$/, name: /In$/ },
  { part: "report", file: /\/engine\/runs\/|\/hub\// },
  { part: "report", file: /\/convert\/run-messages\.ts$/, name: /Out$/ },
  { part: "dispatch", file: /\/engine\/workers\/|\/journal-reads\.ts$/ },
  { part: "dispatch", file: /\/convert\/worker-messages\.ts$/, name: /Out$/ },
  { part: "dispatch", file: /\/(claim|ready)[a-z-]*\.ts$/ },
  { part: "end", file: /\/outcomes\/|\/decide\/outcome-rules\.ts$/ },
  { part: "end", file: /\.ts$/, name: /^(endRun|completeRun(In)?|failRun(In)?)$/ },
  { part: "steps", file: /\/engine\/steps\/|\/decide\/step-[a-z]+\.ts$/ },
  { part: "steps", file: /\/convert\/step-messages\.ts$/ },
  { part: "shared: protobuf", file: /@bufbuild|\/rpc\/convert\// },
  { part: "shared: HTTP/2", file: /@grpc|^node:(http2|net|stream|internal\/(http2|stream))/ },
  { part: "shared: frames and calls", file: /\/server\/src\/rpc\// },
  { part: "shared: store", file: /\/server\/src\/store\/|\/node_modules\/pg|^node:sqlite/ },
  { part: "shared: engine", file: /\/server\/src\/(engine|lib|model|telemetry)\// },
];

const intervalUs = 250;
const usPerMs = 1_000;

/** Takes samples until the returned function is called, which returns what they say. */
export async function startProfile(): Promise<() => Promise<PartTimes>> {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: intervalUs });
  await session.post("Profiler.start");
  return async () => {
    const { profile } = await session.post("Profiler.stop");
    session.disconnect();
    return partsOf(profile);
  };
}

function partsOf({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): PartTimes {
  const parents = new Map<number, number>();
  for (const { id, children = [] } of nodes) for (const child of children) parents.set(child, id);
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const known = new Map<number, string>();
  const partOf = (id: number): string => {
    const found = known.get(id);
    if (found !== undefined) return found;
    const node = byId.get(id);
    const parent = parents.get(id);
    const part =
      node === undefined
        ? "shared: other"
        : (ownPart(node.callFrame) ?? (parent === undefined ? "shared: other" : partOf(parent)));
    known.set(id, part);
    return part;
  };
  const times: Record<string, number> = {};
  for (const [index, id] of samples.entries()) {
    const part = partOf(id);
    if (part !== uncounted) times[part] = (times[part] ?? 0) + (timeDeltas[index] ?? 0) / usPerMs;
  }
  return times;
}

function ownPart({ functionName, url }: Runtime.CallFrame): string | undefined {
  if (functionName === "(idle)") return uncounted;
  if (functionName === "(garbage collector)") return "shared: garbage collection";
  if (functionName === "(program)") return "shared: native code";
  return rules.find(({ file, name }) => file.test(url) && (name?.test(functionName) ?? true))?.part;
}
