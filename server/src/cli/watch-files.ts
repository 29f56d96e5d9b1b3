/**
 * Calls back once after source files below some folders have changed and have been quiet for a
 * moment. Other files do not count: a worker that writes reports or logs beside its sources must
 * not be restarted by that.
 */
import { watch } from "node:fs";
import { sep } from "node:path";

const QUIET_MS = 150;
const SOURCES = /\.[cm]?[jt]sx?$/;
const IGNORED = new Set(["node_modules", ".git", ".pawl", "dist"]);

/** @returns how to stop watching */
export function watchFiles(
  folders: readonly string[],
  onChange: (file: string) => void,
  onError: (error: Error) => void,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  const watchers = folders.map((folder) => {
    const watcher = watch(folder, { recursive: true }, (_event, file) => {
      if (file === null || !SOURCES.test(file)) return;
      if (file.split(sep).some((part) => IGNORED.has(part))) return;
      clearTimeout(timer);
      timer = setTimeout(() => onChange(file), QUIET_MS);
    });
    return watcher.on("error", onError);
  });
  return () => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}
