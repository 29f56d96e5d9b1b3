/**
 * Every check that a change must pass, one after the other; says at the end which failed.
 * With PAWL_TESTS_DONE=1 the tests are not run again: the caller that sets it has just run them.
 */
import { run } from "./run.ts";

const checks: [name: string, command: string, ...args: string[]][] = [
  ["format and lint", "biome", "check", "--error-on-warnings", "."],
  ["types", "tsc", "-p", "tsconfig.json"],
  ["Python: format, lint, types", "sh", "worker-sdk/python/check.sh"],
  ["generated code current", "node", "scripts/generate.ts", "--check"],
  ["contract lint", "buf", "lint"],
  ["contract compatible", "buf", "breaking", "--against", "proto/baseline.binpb"],
  ["publishable build", "node", "scripts/build.ts"],
  ["public surface as listed", "node", "scripts/api-report.ts", "--check"],
];
if (process.env.PAWL_TESTS_DONE === "1") {
  console.log("Tests (layering and sizes among them) not run again: PAWL_TESTS_DONE=1.");
} else {
  checks.push(["tests", "node", "scripts/test.ts"]);
}

const failed: string[] = [];
for (const [name, command, ...args] of checks) {
  const begin = performance.now();
  console.log(`\n── ${name}: ${command} ${args.join(" ")}`);
  const code = await run(command, args);
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(`── ${name}: ${code === 0 ? "ok" : `FAILED (code ${code})`}, ${seconds} s`);
  if (code !== 0) failed.push(name);
}
if (failed.length > 0) {
  console.error(
    `\nverify: ${failed.length} of ${checks.length} checks failed: ${failed.join(", ")}`,
  );
  process.exitCode = 1;
} else {
  console.log(`\nverify: ${checks.length} checks passed.`);
}
