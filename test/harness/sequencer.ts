/**
 * The order of test files where no earlier run says how long each takes: vitest goes by their size,
 * and those that take longest are short, since their cases are data. Begun last, they would run alone.
 */
import { BaseSequencer, type TestSpecification } from "vitest/node";

const long = [
  /test\/conformance\/(typescript|python|go|journals)\.test\.ts$/,
  /test\/(chaos\/chaos|cli\/(startup|commands)|first-contact\/start)\.test\.ts$/,
  /test\/(semantics\/crash-loops|store\/(postgres|postgres-plans|sqlite))\.test\.ts$/,
  /server\/src\/engine\/engine\.test\.ts$/,
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification): boolean =>
      long.some((one) => one.test(moduleId));
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}
