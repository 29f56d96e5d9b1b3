#!/usr/bin/env node
/**
 * The program `pawl` from its sources. Plain JavaScript, so that the compile cache is there before
 * the first TypeScript file: Node then keeps the stripped and compiled code over starts, and does
 * not load its TypeScript parser (20 MB in each thread) when all of it is cached.
 */
import { enableCompileCache, getCompileCacheDir } from "node:module";

enableCompileCache();
// For the threads and processes that this one starts.
process.env.NODE_COMPILE_CACHE ??= getCompileCacheDir();
await import("../src/main.ts");
