/** Makes programs, what is done to their runs, and faults; all from a seed. */
import type { Random } from "../chaos/random.ts";
import {
  type Block,
  type Deed,
  type Fault,
  isRecord,
  type Operation,
  type Spec,
} from "./program.ts";
import { randomValue, withoutVoid } from "./values.ts";

const ERRORS = ["CardDeclined", "Busy", "Timeout", "E"];

/** What may be used where an operation stands. */
interface Place {
  readonly depth: number;
  /** Executed more than once, or more than once at a time: what comes from outside is not in there. */
  readonly repeated: boolean;
  /** Inside of a step: only steps are in there. */
  readonly inStep: boolean;
}

export function randomSpec(random: Random): Spec {
  return new Generator(random).spec();
}

class Generator {
  readonly #random: Random;
  readonly #deeds: Deed[] = [];
  readonly #answers: Record<string, unknown> = {};
  #names = 0;
  #size = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  spec(): Spec {
    const random = this.#random;
    const place = { depth: 3, repeated: false, inStep: false };
    const program = this.#block(place, random.int(2, 6));
    const programs = [program];
    if (random.chance(0.25)) programs.push(this.#changed(program));
    this.#deeds.push(...this.#outside());
    const retries = random.chance(0.3) ? random.int(1, 2) : 0;
    return { programs, deeds: this.#deeds, answers: this.#answers, retries };
  }

  /** Cancels and pauses. */
  #outside(): Deed[] {
    const random = this.#random;
    if (random.chance(0.15)) return [{ atMs: random.int(0, 1_200), do: "cancel" }];
    if (random.chance(0.15)) {
      const atMs = random.int(0, 600);
      const resume = { atMs: atMs + random.int(50, 600), do: "resume" } as const;
      // Again, for a resume that comes before the pause has taken effect changes nothing.
      return [{ atMs, do: "pause" }, resume, { atMs: atMs + 2_500, do: "resume" }];
    }
    return [];
  }

  #name(prefix: string): string {
    this.#names += 1;
    return `${prefix}${this.#names}`;
  }

  /** Some operations, and a result made of theirs. */
  #block(place: Place, length: number): Block {
    const operations: Operation[] = [];
    const seen: string[] = [];
    for (let i = 0; i < length; i += 1) {
      const before = operations.at(-1);
      const operation =
        before?.op === "step" && this.#random.chance(0.1)
          ? withoutKey({ ...before, as: this.#name("v") })
          : this.#operation(place);
      operations.push(operation);
      if (typeof operation.as === "string" && !place.repeated) seen.push(operation.as);
    }
    if (this.#random.chance(0.05)) operations.push(this.#throw());
    const result = seen.map((name) => ({ $: name }));
    operations.push({ op: "return", value: place.repeated ? "done" : result });
    return operations;
  }

  #throw(): Operation {
    const random = this.#random;
    const type = random.pick(ERRORS);
    return { op: "throw", type, message: `thrown ${this.#name("m")}`, nonRetryable: true };
  }

  #operation(place: Place): Operation {
    const random = this.#random;
    this.#size += 1;
    if (place.inStep || place.depth === 0 || this.#size > 30 || random.chance(0.45)) {
      return random.chance(0.15) && !place.inStep ? this.#simpleWait(place) : this.#step(place);
    }
    const kinds = [
      () => this.#branches("all", place),
      () => this.#branches("race", place),
      () => this.#branches("allSettled", place),
      () => this.#map(place),
      () => this.#scope(place),
      () => this.#try(place),
      () => this.#repeat(place),
      () => this.#compensate(),
      () => this.#compensate(),
      () => this.#stream(),
      () => this.#stream(),
      () => this.#nested(place),
      () => this.#child(place),
      () => this.#callback(place),
      () => this.#spawn(place),
      () => this.#waiting(place),
      () => this.#waiting(place),
      () => this.#recorded(),
    ];
    return random.pick(kinds)();
  }

  #step(place: Place): Operation {
    const random = this.#random;
    const name = this.#name("s");
    const step = { op: "step", name, as: this.#name("v"), value: randomValue(random) };
    if (random.chance(0.1)) return { ...step, args: { of: withoutVoid(randomValue(random, 0)) } };
    return {
      ...step,
      ...(random.chance(0.3) ? { takesMs: random.int(1, 120) } : {}),
      ...(!place.repeated && random.chance(0.1)
        ? { key: random.pick(["k", "a/b", "é", "1"]) }
        : {}),
      ...(random.chance(0.2) ? this.#failing(place) : {}),
      ...(!place.inStep && random.chance(0.07) ? { atMostOnce: true } : {}),
    };
  }

  /** Steps that fail for good are rarer: what follows them is not done. */
  #failing({ inStep }: Place): Readonly<Record<string, unknown>> {
    const random = this.#random;
    const maxAttempts = random.int(1, 3);
    const error = { type: random.pick(ERRORS), message: `failed ${this.#name("m")}` };
    const fail = random.chance(0.35)
      ? { ...error, ...(random.chance(0.5) ? { nonRetryable: true } : {}) }
      : { ...error, attempts: Math.max(1, maxAttempts - 1) };
    if (inStep) return {};
    return { retry: { maxAttempts, backoff: "constant", initialMs: random.int(1, 40) }, fail };
  }

  #branches(op: string, place: Place): Operation {
    const random = this.#random;
    const within = { ...place, depth: place.depth - 1 };
    const names = ["l", "r", "m"].slice(0, random.int(2, 3));
    const branches = Object.fromEntries(
      names.map((name) => {
        // Each has something to wait for: who is first is on record then.
        const first = random.chance(0.3) ? this.#simpleWait(place) : this.#timedStep();
        const rest = this.#block(within, random.int(0, 2));
        return [name, [first, ...rest]];
      }),
    );
    return { op, branches, as: this.#name("v") };
  }

  #timedStep(): Operation {
    const random = this.#random;
    const takesMs = random.pick([0, 5, 30, 80]);
    return { op: "step", name: this.#name("s"), value: random.int(0, 9), takesMs };
  }

  #map(place: Place): Operation {
    const random = this.#random;
    const keyed = random.chance(0.5);
    const items = random.sample(["a", "b/c", "é", "#1", "x y"], random.int(0, 4));
    const within = { ...place, depth: place.depth - 1, repeated: true };
    const step = {
      op: "step",
      name: this.#name("s"),
      value: { $: "item" },
      takesMs: random.int(0, 30),
    };
    return {
      op: "map",
      name: this.#name("m"),
      items,
      keyed,
      ...(random.chance(0.4) ? { concurrency: random.int(1, 2) } : {}),
      do: [
        step,
        ...this.#block(within, random.int(0, 1)).slice(0, -1),
        { op: "return", value: { $: "item" } },
      ],
      as: this.#name("v"),
    };
  }

  #scope(place: Place): Operation {
    const within = { ...place, depth: place.depth - 1 };
    return { op: "scope", name: this.#name("o"), do: this.#block(within, 2), as: this.#name("v") };
  }

  #try(place: Place): Operation {
    const random = this.#random;
    const within = { ...place, depth: place.depth - 1 };
    const protectedBlock = [...this.#block(within, random.int(1, 2))];
    if (random.chance(0.4)) protectedBlock.splice(-1, 0, this.#throw());
    const said = { op: "step", name: this.#name("s"), value: 1 };
    const last = [{ op: "step", name: this.#name("f"), value: 1 }];
    return {
      op: "try",
      // A `return` in here ends the list around it.
      do: protectedBlock.slice(0, -1),
      ...(random.chance(0.7) ? { catch: [said] } : {}),
      ...(random.chance(0.4)
        ? { finally: random.chance(0.5) ? last : [{ op: "cleanup", do: last }] }
        : {}),
    };
  }

  #repeat(place: Place): Operation {
    const within = { ...place, depth: place.depth - 1, repeated: true };
    const times = this.#random.int(0, 3);
    return { op: "repeat", times, do: this.#block(within, 1).slice(0, -1) };
  }

  #compensate(): Operation {
    const random = this.#random;
    return {
      op: "compensate",
      name: this.#name("u"),
      ...(random.chance(0.3) ? { takesMs: random.int(1, 60) } : {}),
      ...(random.chance(0.3) ? this.#failing({ depth: 0, repeated: false, inStep: false }) : {}),
    };
  }

  #stream(): Operation {
    const random = this.#random;
    const reduce = random.pick(["join", "collect", "last"]);
    const count = random.int(reduce === "last" ? 1 : 0, 12);
    const items = Array.from({ length: count }, (_, i) =>
      reduce === "join" ? random.pick(["a", "", "é", "\u0000", `-${i}-`]) : { n: i },
    );
    const pauseMs = random.pick([0, 0, 1, 15]);
    return {
      op: "step",
      name: this.#name("t"),
      yield: items,
      reduce,
      pauseMs,
      as: this.#name("v"),
    };
  }

  #nested(place: Place): Operation {
    const within = { ...place, depth: place.depth - 1, inStep: true };
    const takesMs = this.#random.int(0, 20);
    return {
      op: "step",
      name: this.#name("n"),
      takesMs,
      do: this.#block(within, 2),
      as: this.#name("v"),
    };
  }

  #child(place: Place): Operation {
    if (place.repeated) return this.#step(place);
    const inner = { depth: 1, repeated: false, inStep: false };
    const program = this.#block(inner, this.#random.int(1, 3)).filter(({ op }) => op !== "child");
    return { op: "child", programs: [program.map(withoutOutside)], as: this.#name("v") };
  }

  /** In the background, and perhaps beyond the end of its parent. */
  #spawn(place: Place): Operation {
    const random = this.#random;
    if (place.repeated || place.inStep || !random.chance(0.4)) return this.#child(place);
    const child = this.#child(place);
    return { ...child, op: "spawn", abandon: random.chance(0.5), awaits: random.chance(0.5) };
  }

  /** Opened, and waited for in another step or two. */
  #callback(place: Place): Operation {
    const random = this.#random;
    if (place.repeated || place.inStep) return this.#step(place);
    const name = this.#name("cb");
    const handle = this.#name("h");
    const value = plain(randomValue(random, 1));
    const isLate = random.chance(0.2);
    if (!isLate) this.#deeds.push({ atMs: random.int(0, 600), post: name, value });
    const timeout = isLate
      ? { timeoutMs: random.int(1, 150), default: randomValue(random, 0) }
      : {};
    const between = random.chance(0.5) ? [this.#timedStep()] : [];
    const as = this.#name("v");
    return {
      op: "scope",
      name: this.#name("o"),
      do: [
        { op: "callback", name, as: handle, ...timeout },
        ...between,
        { op: "result", of: handle, as },
        { op: "return", value: { $: as } },
      ],
      as: this.#name("v"),
    };
  }

  #simpleWait(place: Place): Operation {
    const random = this.#random;
    const as = this.#name("v");
    if (!place.repeated && random.chance(0.4)) return this.#signal();
    if (random.chance(0.4)) {
      const late = random.chance(0.7) ? { default: randomValue(random, 0) } : {};
      const timeoutMs = random.int(1, 150);
      return { op: "signal", name: this.#name("never"), timeoutMs, ...late, as };
    }
    return { op: "sleep", ms: random.pick([0, 1, 20, 150]), name: this.#name("z"), as };
  }

  #signal(): Operation {
    const random = this.#random;
    const name = this.#name("g");
    const deed = {
      atMs: random.int(0, 900),
      signal: name,
      id: `id-${name}`,
      value: randomValue(random, 1),
    };
    this.#deeds.push({ ...deed, value: plain(deed.value) });
    if (random.chance(0.4)) {
      this.#deeds.push({ ...deed, value: plain(deed.value), atMs: random.int(0, 900) });
    }
    return { op: "signal", name, as: this.#name("v") };
  }

  /** What comes from outside. */
  #waiting(place: Place): Operation {
    const random = this.#random;
    if (place.repeated) return this.#simpleWait(place);
    const as = this.#name("v");
    if (random.chance(0.4)) {
      const question = `Question ${this.#name("q")}?`;
      const type = random.pick(["text", "approval", "choice"]);
      this.#answers[question] =
        type === "approval" ? random.chance(0.5) : random.pick(["yes", "no"]);
      return {
        op: "ask",
        question,
        type,
        ...(type === "choice" ? { options: ["yes", "no"] } : {}),
        as,
      };
    }
    if (random.chance(0.25)) {
      const name = this.#name("list");
      const times = random.int(1, 3);
      for (let i = 0; i < times; i += 1) {
        this.#deeds.push({ atMs: random.int(0, 700), signal: name, id: `${name}-${i}`, value: i });
      }
      const step = { op: "step", name: this.#name("s"), value: { $: "item" } };
      return { op: "signals", name, times, do: [step] };
    }
    return this.#signal();
  }

  #recorded(): Operation {
    // The units of `now` are each language's.
    const what = this.#random.pick(["random", "uuid"]);
    return { op: "recorded", what, as: this.#name("v") };
  }

  /** As the next deploy has it: with a step more, or one less. */
  #changed(program: Block): Block {
    const random = this.#random;
    const place = random.int(0, program.length - 1);
    if (random.chance(0.5)) {
      const step = { op: "step", name: this.#name("new"), value: "new" };
      return [...program.slice(0, place), step, ...program.slice(place)];
    }
    const gone = program.findIndex(({ op, fail }) => op === "step" && fail === undefined);
    return program.filter((_, i) => i !== gone);
  }
}

/** A child has nobody who signals to it, answers its questions or calls it back. */
function withoutOutside(operation: Operation): Operation {
  const text = JSON.stringify(operation);
  const asks = /"op":"(?:ask|signals|child|spawn|callback)"|"op":"signal","name":"g/.test(text);
  return asks ? { op: "sleep", ms: 5, as: String(operation.as ?? "unused") } : operation;
}

/** A value for a payload, which has no expressions. */
function plain(value: unknown): unknown {
  const isExpression = Object.keys(value ?? {}).some((key) =>
    /^\$(bytes|void|date|bigint)$/.test(key),
  );
  return isRecord(value) && isExpression ? null : value;
}

/** What goes wrong in a round. `hard`: workers may be killed, since their leases end with their streams. */
export function randomFaults(random: Random, hard: boolean): Fault[] {
  const faults: Fault[] = [];
  if (random.chance(0.3)) return faults;
  for (let i = random.int(1, 2); i > 0; i -= 1) {
    const what = random.pick(
      hard
        ? (["killWorkers", "freezeWorkers", "deploy", "killServer"] as const)
        : (["freezeWorkers", "deploy", "killServer"] as const),
    );
    faults.push({ atMs: random.int(0, 1_000), what, forMs: random.int(20, 1_500) });
  }
  return faults.sort((a, b) => a.atMs - b.atMs);
}

/** A key names one step. */
function withoutKey({ key: _, ...operation }: Operation): Operation {
  return operation as Operation;
}
