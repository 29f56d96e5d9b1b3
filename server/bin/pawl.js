#!/usr/bin/env node
/**
 * The program `pawl` from its sources. Plain JavaScript, so that the compile cache is there before
 * the first TypeScript file: Node then keeps the stripped and compiled code over starts, and does
 * not load its TypeScript parser (20 MB in each thread) when all of it is cached.
 */
import module from "node:module";

// Before anything is imported by name that an older Node does not have.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 24 || (major === 24 && minor < 7)) {
  console.error(`Pawl needs Node 24.7 or newer; this is ${process.versions.node}.`);
  process.exit(6);
}
module.enableCompileCache();
// For the threads and processes that this one starts.
process.env.NODE_COMPILE_CACHE ??= module.getCompileCacheDir();
await import("../src/main.ts");
