/** The comments of messages and fields, from descriptors with source information. */
import type { DescriptorProto, FileDescriptorSet } from "@bufbuild/protobuf/wkt";

/** Field numbers of FileDescriptorProto and DescriptorProto, of which paths are made. */
const MESSAGES = 4;
const FIELDS = 2;
const NESTED = 3;

/** By full name (`pawl.v1.Run`, `pawl.v1.Run.run_id`), each in one line; sorted. */
export function commentsOf(set: FileDescriptorSet, packageName: string): Record<string, string> {
  const found: [string, string][] = [];
  for (const file of set.file) {
    if (file.package !== packageName) continue;
    const byPath = new Map(
      file.sourceCodeInfo?.location.map(({ path, leadingComments }) => [
        path.join("."),
        leadingComments,
      ]),
    );
    const add = (name: string, path: readonly number[]): void => {
      const text = byPath.get(path.join("."))?.trim().replaceAll(/\s+/g, " ") ?? "";
      if (text !== "") found.push([name, text]);
    };
    const visit = (message: DescriptorProto, name: string, path: readonly number[]): void => {
      add(name, path);
      for (const [index, field] of message.field.entries()) {
        add(`${name}.${field.name}`, [...path, FIELDS, index]);
      }
      for (const [index, nested] of message.nestedType.entries()) {
        visit(nested, `${name}.${nested.name}`, [...path, NESTED, index]);
      }
    };
    for (const [index, message] of file.messageType.entries()) {
      visit(message, `${packageName}.${message.name}`, [MESSAGES, index]);
    }
  }
  return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}
