/** The code blocks of a Markdown text. */

export interface Block {
  readonly language: string;
  readonly code: string;
  /** Line of its first fence, from 1. */
  readonly line: number;
}

export function readBlocks(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: { language: string; line: number; code: string[] } | undefined;
  for (const [i, text] of markdown.split("\n").entries()) {
    const fence = /^```(\w*)$/.exec(text);
    if (open === undefined) {
      if (fence !== null) open = { language: fence[1] ?? "", line: i + 1, code: [] };
    } else if (text === "```") {
      blocks.push({ language: open.language, line: open.line, code: open.code.join("\n") });
      open = undefined;
    } else {
      open.code.push(text);
    }
  }
  if (open !== undefined) throw new Error(`The block at line ${open.line} has no end.`);
  return blocks;
}
