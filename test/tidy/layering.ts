/** The rules on who may import whom; ARCHITECTURE.md gives their reasons. */
import { type Import, isTest, listImports, type Source } from "./sources.ts";

const server = "server/src/";
const sdk = "worker-sdk/typescript/";

/** The server's folders and files, lowest first. A file imports its own layer or lower ones. */
const layers: readonly (readonly string[])[] = [
  ["lib", "config.ts", "telemetry"],
  ["model"],
  ["hub"],
  ["store"],
  ["auth"],
  ["engine"],
  ["rpc"],
  ["http"],
  ["replay"],
  ["cli", "app.ts", "main.ts", "index.ts", "internal.ts"],
];

/** Packages that only some folders of the server may know. */
const packageHomes: readonly [package_: RegExp, homes: readonly string[]][] = [
  [/^(pg|drizzle-orm|node:sqlite)(\/|$)/, ["store"]],
  [/^(@grpc\/|@connectrpc\/)/, ["rpc", "http", "cli", "app.ts", "index.ts", "internal.ts"]],
];

/** The folder below server/src (`engine`), or the file directly in it (`app.ts`). */
function unitOf(path: string): string {
  return path.slice(server.length).split("/")[0] ?? "";
}

/** The layer of a file of the server, from 0; -1 where its folder is in no layer. */
function layerOf(path: string): number {
  return layers.findIndex((units) => units.includes(unitOf(path)));
}

/** What the imports break, one line each: files, rule, way out. */
export function findLayeringFaults(sources: readonly Source[]): string[] {
  return sources.flatMap((source) =>
    listImports(source).flatMap((imported) => [
      ...findPackageFaults(source.path, imported),
      ...findServerFaults(source.path, imported),
    ]),
  );
}

/** Server and SDK meet on the wire only. */
function findPackageFaults(path: string, { specifier, target }: Import): string[] {
  const into = (folder: string, name: string) =>
    target?.startsWith(folder) === true || specifier === name || specifier.startsWith(`${name}/`);
  if (path.startsWith("server/") && into("worker-sdk/", "@pawl/worker")) {
    return [
      `${path} imports ${specifier}: the server never imports an SDK; share by the contract.`,
    ];
  }
  if (path.startsWith("worker-sdk/") && into("server/", "@pawl/server")) {
    return [
      `${path} imports ${specifier}: an SDK never imports the server; share by the contract.`,
    ];
  }
  return [];
}

function findServerFaults(path: string, { specifier, target }: Import): string[] {
  if (!path.startsWith(server) || isTest(path)) return [];
  const unit = unitOf(path);
  const layer = layerOf(path);
  if (layer < 0) return [`${path} is in no layer: give ${unit} a rank in test/tidy/layering.ts.`];
  const faults: string[] = [];
  if (target?.startsWith(server) === true) {
    const targetLayer = layerOf(target);
    if (targetLayer > layer) {
      faults.push(`${path} imports ${target}: upward, from ${unit} to ${unitOf(target)}.`);
    }
    if ((unit === "rpc" || unit === "http") && unitOf(target) === "store") {
      faults.push(`${path} imports ${target}: the edge speaks to the engine, never to the store.`);
    }
  } else if (target !== undefined && !target.startsWith("server/")) {
    faults.push(`${path} imports ${target}: outside of its package.`);
  }
  for (const [pattern, homes] of packageHomes) {
    if (pattern.test(specifier) && !homes.includes(unit)) {
      faults.push(`${path} imports ${specifier}: only ${homes.join(", ")} may.`);
    }
  }
  return faults;
}

/** Built-in modules that compute only. */
const pureModules = [
  "node:assert",
  "node:assert/strict",
  "node:buffer",
  "node:crypto",
  "node:util",
];

/**
 * Which files that decide/ runs, itself or through others, import something that does I/O. What
 * lib/ imports is its own affair: whatever there does I/O is passed in.
 */
export function findImpureDecisions(sources: readonly Source[]): string[] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const open = [...byPath.keys()].filter(
    (path) => path.startsWith(`${server}engine/decide/`) && !isTest(path),
  );
  const seen = new Set(open);
  const faults: string[] = [];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const source = byPath.get(path);
    if (source === undefined || path.startsWith(`${server}lib/`)) continue;
    for (const { specifier, target, kind } of listImports(source)) {
      if (kind === "type") continue;
      if (specifier.startsWith("node:") && !pureModules.includes(specifier)) {
        faults.push(`${path} imports ${specifier}, and decide/ runs it: decisions do no I/O.`);
      }
      if (target !== undefined && !seen.has(target)) {
        seen.add(target);
        open.push(target);
      }
    }
  }
  return faults;
}

/**
 * The groups of files that import one another (Tarjan's strongly connected components), each as its
 * sorted paths: when they run, or also by their types. Dynamic imports do not count.
 */
export function findCycles(
  sources: readonly Source[],
  kinds: readonly Import["kind"][] = ["static"],
): string[][] {
  const edges = new Map<string, string[]>();
  for (const source of sources) {
    const targets = listImports(source).flatMap(({ kind, target }) =>
      kinds.includes(kind) && target !== undefined ? [target] : [],
    );
    edges.set(source.path, targets);
  }
  return findComponents(edges);
}

/** The same of files with what each imports. */
export function findComponents(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const cycles: string[][] = [];
  const indexes = new Map<string, number>();
  const stack: string[] = [];
  const visit = (path: string): number => {
    const index = indexes.size;
    let low = index;
    indexes.set(path, index);
    stack.push(path);
    for (const target of edges.get(path) ?? []) {
      if (!edges.has(target)) continue;
      const seen = indexes.get(target);
      if (seen === undefined) low = Math.min(low, visit(target));
      else if (stack.includes(target)) low = Math.min(low, seen);
    }
    if (low === index) {
      const component = stack.splice(stack.indexOf(path));
      const isLoop = component.length > 1 || edges.get(path)?.includes(path) === true;
      if (isLoop) cycles.push(component.sort());
    }
    return low;
  };
  for (const path of edges.keys()) if (!indexes.has(path)) visit(path);
  return cycles;
}

/** The sources among which no run-time cycle may be, by package. */
export function groupForCycles(sources: readonly Source[]): Source[][] {
  return [server, `${sdk}src/`, "examples/", "test/", "scripts/"].map((folder) =>
    sources.filter(({ path }) => path.startsWith(folder)),
  );
}

/** Groups of files that know one another's types and are too large to be read alone, one line each. */
export function findKnots(sources: readonly Source[], filesMax: number): string[] {
  return [server, `${sdk}src/`].flatMap((folder) => {
    const files = sources.filter(({ path }) => path.startsWith(folder) && !isTest(path));
    return findCycles(files, ["static", "type"])
      .filter(({ length }) => length > filesMax)
      .map(
        (knot) => `${knot.length} files know one another, ${filesMax} at most: ${knot.join(", ")}`,
      );
  });
}
