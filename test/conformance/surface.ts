/** What the three SDKs export, as names: `Client`, `Client.start`, `StartOptions.runId`, `Worker(slots)`. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseSync, type TSSignature, type TSType, Visitor } from "oxc-parser";

const sdks = join(import.meta.dirname, "..", "..", "worker-sdk");
const pythonProgram = join(import.meta.dirname, "surface.py");

type Program = ReturnType<typeof parseSync>["program"];

/** The declarations that have members, as far as they are looked at. */
interface Found {
  readonly path: string;
  readonly own: readonly string[];
  /** The names of what it extends. */
  readonly bases: readonly string[];
}

/** Declarations and imports of the TypeScript SDK, read when they are asked for. */
class Modules {
  readonly #programs = new Map<string, Program>();

  #program(path: string): Program {
    const known = this.#programs.get(path);
    if (known !== undefined) return known;
    const { program } = parseSync(path, readFileSync(path, "utf8"));
    this.#programs.set(path, program);
    return program;
  }

  /** The exports of a file by name, each with the file that it comes from. */
  reexports(path: string): { name: string; from: string }[] {
    return this.#program(path).body.flatMap((node) => {
      if (node.type !== "ExportNamedDeclaration" || node.source === null) return [];
      const from = join(dirname(path), node.source.value);
      return node.specifiers.map(({ exported }) => ({ name: nameOf(exported), from }));
    });
  }

  find(path: string, name: string): Found | undefined {
    const collector = new Collector(name);
    collector.visit(this.#program(path));
    const { source, own, bases } = collector;
    if (source?.startsWith(".")) return this.find(join(dirname(path), source), name);
    return source === undefined ? { path, own, bases } : undefined;
  }
}

/** Members of one class, interface or object type of a file, or the module that it is imported from. */
class Collector {
  readonly own: string[] = [];
  readonly bases: string[] = [];
  source: string | undefined;
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  visit(program: Program): void {
    const isWanted = (id: { readonly name: string } | null) => id?.name === this.#name;
    new Visitor({
      ImportDeclaration: ({ source, specifiers }) => {
        if (specifiers.some(({ local }) => isWanted(local))) this.source = source.value;
      },
      ClassDeclaration: ({ id, superClass, body }) => {
        if (!isWanted(id)) return;
        if (superClass?.type === "Identifier") this.bases.push(superClass.name);
        for (const member of body.body) {
          const isMember =
            member.type === "MethodDefinition" || member.type === "PropertyDefinition";
          if (!isMember || member.key.type !== "Identifier") continue;
          const { name } = member.key;
          if (member.accessibility !== "private" && name !== "constructor") this.own.push(name);
        }
      },
      TSInterfaceDeclaration: ({ id, extends: bases, body }) => {
        if (!isWanted(id)) return;
        for (const { expression } of bases) {
          if (expression.type === "Identifier") this.bases.push(expression.name);
        }
        this.#members(body.body);
      },
      TSTypeAliasDeclaration: ({ id, typeAnnotation }) => {
        if (isWanted(id)) this.#type(typeAnnotation);
      },
    }).visit(program);
  }

  #type(type: TSType): void {
    if (type.type === "TSTypeLiteral") this.#members(type.members);
    else if (type.type === "TSParenthesizedType") this.#type(type.typeAnnotation);
    else if (type.type === "TSIntersectionType" || type.type === "TSUnionType") {
      for (const part of type.types) this.#type(part);
    } else if (type.type === "TSTypeReference" && type.typeName.type === "Identifier") {
      this.bases.push(type.typeName.name);
    }
  }

  #members(members: readonly TSSignature[]): void {
    for (const member of members) {
      if (member.type !== "TSPropertySignature" && member.type !== "TSMethodSignature") continue;
      if (member.key.type === "Identifier") this.own.push(member.key.name);
    }
  }
}

function nameOf(node: { readonly name: string } | { readonly value: string }): string {
  return "name" in node ? node.name : node.value;
}

/** Members that come from an exported base belong to that one. */
export function typescriptSurface(): string[] {
  const modules = new Modules();
  const exported = modules.reexports(join(sdks, "typescript", "src", "index.ts"));
  const names = new Set(exported.map(({ name }) => name));
  const membersOf = (path: string, name: string): string[] => {
    const found = modules.find(path, name);
    if (found === undefined) return [];
    const hidden = found.bases.filter((base) => !names.has(base));
    return [...hidden.flatMap((base) => membersOf(found.path, base)), ...found.own];
  };
  return exported.flatMap(({ name, from }) => [
    name,
    ...[...new Set(membersOf(from, name))].map((member) => `${name}.${member}`),
  ]);
}

/** The public names of the Python package, or why they cannot be had. */
export function pythonSurface(): string[] | undefined {
  const python = join(sdks, "python", ".venv", "bin", "python");
  if (!existsSync(python)) return undefined;
  return execFileSync(python, [pythonProgram], { encoding: "utf8" }).trim().split("\n");
}

/** Methods that Go itself asks for. */
const protocol = new Set(["As", "Error", "Is", "Unwrap"]);

/** The exported names of the Go package by `go doc`; undefined where there is no Go. */
export function goSurface(): string[] | undefined {
  if (!existsSync(join(sdks, "go", "bin", "conformance"))) return undefined;
  const cwd = join(sdks, "go");
  const text = execFileSync("go", ["doc", "-all", "."], { cwd, encoding: "utf8" });
  const names: string[] = [];
  let type = "";
  let isList = false;
  for (const line of text.split("\n")) {
    const [, method = "", called = ""] = /^func \(\w+ \*?(\w+)[^)]*\) (\w+)/.exec(line) ?? [];
    const [, declared = ""] = /^(?:func|type|var|const) (\w+)/.exec(line) ?? [];
    if (protocol.has(called)) continue;
    if (called !== "") names.push(`${method}.${called}`);
    else if (declared !== "") names.push(declared);
    if (/^(const|var) \($/.test(line)) isList = true;
    if (line === "}" || line === ")") [type, isList] = ["", false];
    const [, fields = ""] = /^\t([A-Z]\w*(?:, [A-Z]\w*)*)[ (]/.exec(`${line} `) ?? [];
    const [, inline = ""] = /^type \w+ struct\{ (\w+) .*\}$/.exec(line) ?? [];
    if (inline !== "") names.push(`${declared}.${inline}`);
    if (fields !== "" && (type !== "" || isList)) {
      names.push(...fields.split(", ").map((field) => (isList ? field : `${type}.${field}`)));
    }
    if (/^type \w+.*(struct|interface) \{$/.test(line)) type = declared;
  }
  return names;
}
