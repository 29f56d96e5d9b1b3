#!/usr/bin/env node
/** The program `pawl`. */
import module from "node:module";

// Before anything is imported by name that an older Node does not have.
if (Number.parseInt(process.versions.node, 10) < 24) {
  console.error(`Pawl needs Node 24 or newer; this is ${process.versions.node}.`);
  process.exit(6);
}
// Compiled code is kept over starts: half of a start would be spent on it.
module.enableCompileCache();
const { main } = await import("./cli/main.ts");
process.exitCode = await main(process.argv.slice(2));
