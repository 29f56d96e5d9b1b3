/**
 * The server and the SDK as a few files of plain JavaScript, for the hundreds of processes that tests
 * start: one that loads 400 modules of TypeScript takes twice the CPU. A test's program names and
 * imports the sources as usual; a hook, which NODE_OPTIONS brings into each process, puts the bundle in
 * their place.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { rolldown } from "rolldown";

const root = join(import.meta.dirname, "..", "..");
/** Modules that the bundle stands for, by the names that they have in it. */
const entries = {
  main: "server/src/main.ts",
  index: "server/src/index.ts",
  internal: "server/src/internal.ts",
  // The server looks for these two beside itself.
  thread: "server/src/store/sqlite/thread.ts",
  "check-thread": "server/src/engine/schemas/check-thread.ts",
  worker: "worker-sdk/typescript/src/index.ts",
  "worker-internal": "worker-sdk/typescript/src/internal.ts",
  proto: "proto/gen/index.js",
};
const folder = join(root, "node_modules", ".cache", "bundle");
const keptMs = 24 * 3_600_000;

/** Modules of the server that read files beside their source, other than the two threads. */
function readsBesideItself(id: string): boolean {
  return id.includes("/server/src/") && !/\/(thread-link|check-pool)\.ts$/.test(id);
}

/**
 * Makes the bundle, in a folder that is named after what is in it, so that it is never written under a
 * process that reads it, and Node's compile cache continues to hold.
 *
 * @returns the URL of the module that puts it in place of the sources
 */
export async function makeBundle(): Promise<string> {
  const bundle = await rolldown({
    input: Object.fromEntries(
      Object.entries(entries).map(([name, path]) => [name, join(root, path)]),
    ),
    platform: "node",
    plugins: [
      {
        name: "source-urls",
        transform: (code, id) =>
          readsBesideItself(id)
            ? code
                .replaceAll("import.meta.url", JSON.stringify(pathToFileURL(id).href))
                .replaceAll("import.meta.filename", JSON.stringify(id))
                .replaceAll("import.meta.dirname", JSON.stringify(dirname(id)))
            : null,
      },
    ],
  });
  const { output } = await bundle.generate({ format: "esm", entryFileNames: "[name].js" });
  await bundle.close();
  const files = output.flatMap((file) => (file.type === "chunk" ? [file] : []));
  const hash = createHash("sha256");
  for (const { fileName, code } of files) hash.update(fileName).update(code);
  const place = join(folder, hash.digest("hex").slice(0, 16));
  const hook = join(place, "hook.js");
  if ((await stat(hook).catch(() => undefined)) === undefined) {
    const made = `${place}.${process.pid}`;
    await mkdir(made, { recursive: true });
    for (const { fileName, code } of files) await writeFile(join(made, fileName), code);
    await writeFile(join(made, "package.json"), '{ "type": "module" }');
    await writeFile(join(made, "hook.js"), hookOf(place));
    // Another run may have made the same meanwhile.
    await rename(made, place).catch(() => rm(made, { recursive: true }));
  }
  await removeOld(place);
  return pathToFileURL(hook).href;
}

function hookOf(place: string): string {
  const urls = Object.entries(entries).map(([name, path]) => [
    pathToFileURL(join(root, path)).href,
    pathToFileURL(join(place, `${name}.js`)).href,
  ]);
  return `import { registerHooks } from "node:module";
const bundled = new Map(${JSON.stringify(urls)});
registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    const url = bundled.get(found.url);
    return url === undefined ? found : { url, format: "module", shortCircuit: true };
  },
});
`;
}

async function removeOld(current: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const { mtimeMs } = await stat(path);
    if (path !== current && mtimeMs < Date.now() - keptMs) {
      await rm(path, { recursive: true, force: true });
    }
  }
}
