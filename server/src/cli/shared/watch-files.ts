/**
 * Calls back once after source files below some folders have changed and have been quiet for a
 * moment. Other files do not count: a worker that writes reports or logs beside its sources must
 * not be restarted by that.
 */
import { relative, sep } from "node:path";
import { watch } from "chokidar";

const QUIET_MS = 150;
const SOURCES = /\.[cm]?[jt]sx?$/;
const IGNORED = new Set(["node_modules", ".git", ".pawl", "dist"]);

/** @returns a function that stops watching */
export function watchFiles(
  folders: readonly string[],
  onChange: (file: string) => void,
  onError: (error: Error) => void,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  // The path to the watched folders themselves does not matter.
  const below = (path: string): string =>
    folders.map((folder) => relative(folder, path)).find((rest) => !rest.startsWith("..")) ?? path;
  const watcher = watch([...folders], {
    ignoreInitial: true,
    ignored: (path, stats) =>
      below(path)
        .split(sep)
        .some((part) => IGNORED.has(part)) ||
      (stats?.isFile() === true && !SOURCES.test(path)),
  });
  watcher.on("all", (_event, file) => {
    if (!SOURCES.test(file)) return;
    clearTimeout(timer);
    timer = setTimeout(() => onChange(file), QUIET_MS);
  });
  watcher.on("error", (error) =>
    onError(error instanceof Error ? error : new Error(String(error))),
  );
  return () => {
    clearTimeout(timer);
    void watcher.close();
  };
}
