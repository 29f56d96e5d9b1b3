/** Commands about who may call a server. */
import type { Command } from "./command.ts";
import { STORE_OPTIONS } from "./common-options.ts";

export const ACCESS_COMMANDS: readonly Command[] = [
  {
    name: "keys",
    group: "Access",
    summary: "Create, list, revoke and rotate API keys",
    about: `
      Manages the keys with which clients and workers call a server. A server that only this machine can
      reach needs none; the first operator's key ends that. A key is printed once, when it is created.

      "keys create NAME --operator" opens the store itself, so that whoever has the store can make the
      first key. All other forms ask a running server, with an operator's key. "keys generate" prints a
      new operator's key for a server's PAWL_OPERATOR_KEY, and needs neither.`,
    positionals: [
      {
        name: "ACTION",
        help: "What to do.",
        choices: ["create", "list", "revoke", "rotate", "generate"],
      },
      { name: "NAME", optional: true, help: "The key's name, or its id." },
    ],
    options: {
      scopes: {
        type: "string",
        value: "LIST",
        help: "What the key may do, such as runs:read,runs:write; docs/access.md lists all scopes.",
        default: "what clients and workers need",
      },
      expires: {
        type: "string",
        value: "DURATION",
        help: "When the key stops working, such as 90d.",
        default: "never",
      },
      operator: { type: "boolean", help: "The key may do everything, such as create keys." },
      overlap: {
        type: "string",
        value: "DURATION",
        help: "How long a rotated key continues to work.",
        default: "24h",
      },
      ...STORE_OPTIONS,
    },
    examples: [
      "pawl keys create me --operator",
      "pawl keys create ci --scopes runs:read,runs:write --expires 90d",
      "pawl keys rotate ci --overlap 1h",
    ],
    load: () => import("../commands/key-manage.ts"),
  },
];
