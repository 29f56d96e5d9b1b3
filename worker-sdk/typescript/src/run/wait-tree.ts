/** What wakes a suspended run: any of its waits; and which of them are alternatives. */
import type { WaitTree } from "@pawl/proto";
import { limits } from "../limits.ts";
import type { Pending } from "./pending.ts";
import type { Race, Scope } from "./scope.ts";

function leaf(value: string): WaitTree {
  return { $typeName: "pawl.v1.WaitTree", node: { case: "stepKey", value } };
}

function group(members: WaitTree[], needed: number, exclusive: boolean): WaitTree {
  const value = { $typeName: "pawl.v1.WaitGroup" as const, members, needed, exclusive };
  return { $typeName: "pawl.v1.WaitTree", node: { case: "group", value } };
}

/** The keys of what each branch of each race waits for. A branch of several waits is decided by all. */
function races(operations: readonly Pending[]): WaitTree[] {
  const branches = new Map<Race, Map<unknown, string[]>>();
  for (const { key, scope } of operations) {
    for (let at: Scope | undefined = scope; at !== undefined; at = at.parent) {
      if (at.race === undefined) continue;
      const waiting = branches.get(at.race) ?? new Map<unknown, string[]>();
      branches.set(at.race, waiting);
      waiting.set(at, [...(waiting.get(at) ?? []), key]);
    }
  }
  const groups: WaitTree[] = [];
  for (const waiting of branches.values()) {
    const members = [...waiting.values()].map((keys) => group(keys.map(leaf), keys.length, false));
    if (members.length > 1) groups.push(group(members, 1, true));
  }
  return groups;
}

/** Undefined where it would be too long to say: any wait wakes the run then. */
export function waitTree(
  operations: Iterable<Pending>,
  isWaited: (key: string) => boolean,
): WaitTree | undefined {
  const waiting = [...operations].filter(({ key }) => isWaited(key));
  let bytes = 0;
  for (const { key } of waiting) bytes += 3 * key.length;
  if (bytes > limits.treeBytesMax) return undefined;
  return group([...waiting.map(({ key }) => leaf(key)), ...races(waiting)], 1, false);
}
