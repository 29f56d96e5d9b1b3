/** What the three SDKs export, as names: `Client`, `Client.start`, `StartOptions.runId`, `Worker(slots)`. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseSync } from "oxc-parser";

const sdks = join(import.meta.dirname, "..", "..", "worker-sdk");
const pythonProgram = join(import.meta.dirname, "surface.py");

type Program = ReturnType<typeof parseSync>["program"];
type Node = Program["body"][number];
type Declaration = Extract<
  Node,
  { type: "ClassDeclaration" | "TSInterfaceDeclaration" | "TSTypeAliasDeclaration" }
>;

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

  /** The members of a class, interface or object type, with those that it inherits. */
  members(path: string, name: string): string[] {
    for (const node of this.#program(path).body) {
      const declared = node.type === "ExportNamedDeclaration" ? node.declaration : node;
      if (declared?.type === "ImportDeclaration") {
        const isHere = declared.specifiers.some(({ local }) => local.name === name);
        const { value } = declared.source;
        if (isHere && value.startsWith(".")) return this.members(join(dirname(path), value), name);
      } else if (isDeclaration(declared) && declared.id?.name === name) {
        return [...new Set(this.#membersOf(path, declared))];
      }
    }
    return [];
  }

  #membersOf(path: string, node: Declaration): string[] {
    if (node.type === "TSTypeAliasDeclaration")
      return this.#membersOfType(path, node.typeAnnotation);
    if (node.type === "ClassDeclaration") {
      const parent = node.superClass?.type === "Identifier" ? node.superClass.name : undefined;
      const own = node.body.body.flatMap((member) => {
        const isMember = member.type === "MethodDefinition" || member.type === "PropertyDefinition";
        if (!isMember || member.key.type !== "Identifier") return [];
        const isHidden = member.accessibility === "private" || member.key.name === "constructor";
        return isHidden ? [] : [member.key.name];
      });
      return parent === undefined ? own : [...this.members(path, parent), ...own];
    }
    const inherited = node.extends.flatMap(({ expression }) =>
      expression.type === "Identifier" ? this.members(path, expression.name) : [],
    );
    return [...inherited, ...node.body.body.flatMap(signatureName)];
  }

  #membersOfType(
    path: string,
    type: Extract<Declaration, { type: "TSTypeAliasDeclaration" }>["typeAnnotation"],
  ): string[] {
    switch (type.type) {
      case "TSTypeLiteral":
        return type.members.flatMap(signatureName);
      case "TSIntersectionType":
      case "TSUnionType":
        return type.types.flatMap((part) => this.#membersOfType(path, part));
      case "TSParenthesizedType":
        return this.#membersOfType(path, type.typeAnnotation);
      case "TSTypeReference":
        return type.typeName.type === "Identifier" ? this.members(path, type.typeName.name) : [];
      default:
        return [];
    }
  }
}

function isDeclaration(node: object | null | undefined): node is Declaration {
  if (node === null || node === undefined || !("type" in node)) return false;
  const { type } = node;
  return (
    type === "ClassDeclaration" ||
    type === "TSInterfaceDeclaration" ||
    type === "TSTypeAliasDeclaration"
  );
}

function nameOf(node: { readonly name: string } | { readonly value: string }): string {
  return "name" in node ? node.name : node.value;
}

function signatureName(member: { readonly type: string; readonly key?: object }): string[] {
  const isNamed = member.type === "TSPropertySignature" || member.type === "TSMethodSignature";
  const { key } = member;
  return isNamed && key !== undefined && "name" in key ? [String(key.name)] : [];
}

export function typescriptSurface(): string[] {
  const modules = new Modules();
  const index = join(sdks, "typescript", "src", "index.ts");
  return modules.reexports(index).flatMap(({ name, from }) => {
    const members = modules.members(from, name).map((member) => `${name}.${member}`);
    return [name, ...members];
  });
}

/** The public names of the Python package, or why they cannot be had. */
export function pythonSurface(): string[] | undefined {
  const python = join(sdks, "python", ".venv", "bin", "python");
  if (!existsSync(python)) return undefined;
  return execFileSync(python, [pythonProgram], { encoding: "utf8" }).trim().split("\n");
}

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
