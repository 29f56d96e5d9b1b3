#!/usr/bin/env node
/** The program `pawl`. */
import module from "node:module";
import { nodeProblem } from "./lib/node-version.ts";

// Before anything is imported by name that an older Node does not have.
const problem = nodeProblem(process.versions.node);
if (problem !== undefined) {
  console.error(problem);
  process.exit(6);
}
// Compiled code is kept over starts: half of a start would be spent on it.
module.enableCompileCache();
const { main } = await import("./cli/main.ts");
process.exitCode = await main(process.argv.slice(2));
