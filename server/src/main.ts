#!/usr/bin/env node
/** The program `pawl`. */
import { enableCompileCache } from "node:module";

// Compiled code is kept over starts: half of a start would be spent on it.
enableCompileCache();
const { main } = await import("./cli/main.ts");
process.exitCode = await main(process.argv.slice(2));
