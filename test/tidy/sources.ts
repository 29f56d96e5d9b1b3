/** The TypeScript sources of the workspace, parsed: what the tidy tests look at. */
import { readdirSync, readFileSync } from "node:fs";
import { join, posix, relative, sep } from "node:path";
import { parseSync, Visitor } from "oxc-parser";

/** The workspace's root folder. */
export const root = join(import.meta.dirname, "..", "..");

/** One source file. */
export interface Source {
  /** Relative to the root, with `/`. */
  path: string;
  text: string;
  program: ReturnType<typeof parseSync>["program"];
}

/** One import, re-export or dynamic import. */
export interface Import {
  /** As written: `./clock.ts`, `node:fs`, `@pawl/proto`. */
  specifier: string;
  /** The file that a relative specifier means, relative to the root; `undefined` for packages. */
  target: string | undefined;
  /** `type`: erased before it runs. `static`: evaluated first. `dynamic`: evaluated when reached. */
  kind: "type" | "static" | "dynamic";
}

const folders = ["scripts", "server", "worker-sdk/typescript", "examples", "test"];
const skipped = new Set(["node_modules", "dist", "testdata", ".pawl"]);

/** Parses one file's text. @throws where it is not TypeScript, naming the file. */
export function parseSource(path: string, text: string): Source {
  const { program, errors } = parseSync(path, text, { preserveParens: false });
  const [error] = errors;
  if (error !== undefined) throw new Error(`${path} does not parse: ${error.message}`);
  return { path, text, program };
}

/** Reads and parses all sources of the workspace's own packages; generated code is not among them. */
export function readSources(): Source[] {
  const paths = folders.flatMap((folder) => listTypeScript(join(root, folder)));
  return paths.sort().map((path) => parseSource(path, readFileSync(join(root, path), "utf8")));
}

/** The files of the SDKs in other languages, as text. */
export function readOthers(): { path: string; text: string }[] {
  const folders = ["worker-sdk/python", "worker-sdk/go"];
  const paths = folders.flatMap((folder) => listOthers(join(root, folder)));
  return paths.sort().map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

const generated = new Set(["v1", "pawlv1", ".venv", "bin", "__pycache__"]);

function listOthers(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return generated.has(entry.name) ? [] : listOthers(path);
    return /\.(py|go)$/.test(entry.name) ? [relative(root, path).split(sep).join("/")] : [];
  });
}

function listTypeScript(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return skipped.has(entry.name) ? [] : listTypeScript(path);
    return entry.name.endsWith(".ts") ? [relative(root, path).split(sep).join("/")] : [];
  });
}

/** Whether a file holds tests, and is neither shipped nor run by anything shipped. */
export function isTest(path: string): boolean {
  return path.endsWith(".test.ts");
}

/** The line, from 1, of an offset in a text. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

/** All that a file imports. An `import { type A }` counts as static: Node keeps its statement. */
export function listImports(source: Source): Import[] {
  const imports: Import[] = [];
  const add = (specifier: string, kind: Import["kind"]) => {
    const target = specifier.startsWith(".")
      ? posix.join(posix.dirname(source.path), specifier)
      : undefined;
    imports.push({ specifier, target, kind });
  };
  new Visitor({
    ImportDeclaration(node) {
      add(node.source.value, node.importKind === "type" ? "type" : "static");
    },
    ExportAllDeclaration(node) {
      add(node.source.value, node.exportKind === "type" ? "type" : "static");
    },
    ExportNamedDeclaration(node) {
      if (node.source !== null) {
        add(node.source.value, node.exportKind === "type" ? "type" : "static");
      }
    },
    ImportExpression(node) {
      if (node.source.type === "Literal" && typeof node.source.value === "string") {
        add(node.source.value, "dynamic");
      }
    },
    TSImportType(node) {
      add(node.source.value, "type");
    },
  }).visit(source.program);
  return imports;
}
