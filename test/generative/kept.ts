/** Programs that once went wrong, as small as they still did; `pnpm test` plays them. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Block, Fault, Operation, Spec } from "./program.ts";
import { blocksOf } from "./program.ts";
import type { Failure } from "./round.ts";

export const keptFolder = join(import.meta.dirname, "kept");

export interface Kept {
  readonly seed: number;
  readonly again: string;
  readonly problems: readonly string[];
  readonly sdk: string;
  readonly mode: string;
  readonly faults: readonly Fault[];
  readonly spec: Spec;
}

/** Writes it; returns the file's name. */
export async function keep(seed: number, faults: readonly Fault[], failure: Failure) {
  const { sdk, mode, problems, spec } = failure;
  const name = `${seed}-${sdk}-${mode}.json`;
  const again = `npx -y pnpm@12 fuzz --kept ${name}`;
  const kept: Kept = { seed, again, problems, sdk, mode, faults, spec };
  await mkdir(keptFolder, { recursive: true });
  await writeFile(join(keptFolder, name), `${JSON.stringify(kept, undefined, 2)}\n`);
  return name;
}

/** The same with one operation, one deed or one fault less; the largest pieces first. */
export function* smaller(spec: Spec): Generator<Spec> {
  for (const [i, program] of spec.programs.entries()) {
    if (spec.programs.length > 1) {
      yield { ...spec, programs: spec.programs.filter((_, at) => at !== i) };
    }
    for (const less of smallerBlocks(program)) {
      yield { ...spec, programs: spec.programs.map((one, at) => (at === i ? less : one)) };
    }
  }
  for (const [i] of spec.deeds.entries()) {
    yield { ...spec, deeds: spec.deeds.filter((_, at) => at !== i) };
  }
}

function* smallerBlocks(block: Block): Generator<Block> {
  const put = (i: number, ...operations: readonly Operation[]): Block => [
    ...block.slice(0, i),
    ...operations,
    ...block.slice(i + 1),
  ];
  for (const [i] of block.entries()) yield put(i);
  for (const [i, operation] of block.entries()) {
    for (const [inner, withBlock] of blocksOf(operation)) {
      for (const less of smallerBlocks(inner)) yield put(i, withBlock(less));
    }
  }
}
