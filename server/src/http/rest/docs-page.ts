/** /docs: the OpenAPI document as one page of HTML with nothing to load and nothing to run. */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Document } from "./openapi.ts";

/** HTML that is safe as it is. */
class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Part = string | number | Html | readonly Html[];

function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  const text = strings.map((said, index) => said + shown(parts[index] ?? ""));
  return new Html(text.join(""));
}

function shown(part: Part): string {
  if (part instanceof Html) return part.text;
  if (typeof part === "object") return part.map(({ text }) => text).join("");
  return escapeText(String(part));
}

export function escapeText(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --quiet: #888; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 2rem 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
code, .path { font-family: ui-monospace, monospace; font-size: .92em; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: 0 .8rem; }
summary { padding: .5rem 0; cursor: pointer; }
.verb { display: inline-block; min-width: 4.2em; font-weight: 700; }
.GET { color: #2a7de1; } .POST { color: #1a9850; } .PATCH { color: #b8860b; } .DELETE { color: #d33; }
.quiet { color: var(--quiet); }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-top: 1px solid var(--line); }
th { font-weight: 600; }
nav a { margin-right: 1em; }
`;

export function docsPage(document: Document): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => ({ path, method, one: object(one) })),
  );
  const tags = document.tags.map(({ name }) => String(name));
  const sections = tags.map((tag) => {
    const own = operations.filter(({ one }) => list(one.tags).includes(tag));
    return html`<h2 id="${tag}">${tag}</h2>
${own.map(({ path, method, one }) => operationHtml(path, method.toUpperCase(), one))}`;
  });
  const schemas = Object.entries(object(document.components.schemas));
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pawl over HTTP</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<h1>Pawl over HTTP</h1>
<p class="quiet">Version ${String(document.info.version)} · <a href="/openapi.json">openapi.json</a>, OpenAPI ${document.openapi}</p>
<p>${prose(String(document.info.description))}</p>
<nav>${[...tags, "Schemas"].map((tag) => html`<a href="#${tag}">${tag}</a> `)}</nav>
${sections}
<h2 id="Schemas">Schemas</h2>
${schemas.map(([name, schema]) => schemaHtml(name, object(schema)))}
</body>
</html>
`;
  return page.text;
}

function operationHtml(path: string, method: string, one: JsonObject): Html {
  const parameters = list(one.parameters).map(object);
  const body = object(one.requestBody);
  return html`<details id="${text(one.operationId)}">
<summary><span class="verb ${method}">${method}</span> <span class="path">${path}</span>
<span class="quiet">${text(one.summary)}</span></summary>
${one.description === undefined ? html`` : html`<p>${prose(text(one.description))}</p>`}
${parameters.length === 0 ? html`` : parametersHtml(parameters)}
${one.requestBody === undefined ? html`` : bodyHtml(body)}
<table><tr><th>Answer</th><th>What</th></tr>
${Object.entries(object(one.responses)).map(
  ([status, answer]) =>
    html`<tr><td>${status}</td><td>${prose(text(object(answer).description))}${contentHtml(object(answer))}</td></tr>\n`,
)}</table>
</details>
`;
}

function parametersHtml(parameters: readonly JsonObject[]): Html {
  return html`<table><tr><th>Parameter</th><th>In</th><th>Type</th><th></th></tr>
${parameters.map(
  (one) =>
    html`<tr><td><code>${text(one.name)}</code></td><td>${text(one.in)}</td><td>${typeHtml(object(one.schema))}</td><td>${prose(text(one.description))}</td></tr>\n`,
)}</table>`;
}

function bodyHtml(body: JsonObject): Html {
  const paragraphs = text(body.description).split("\n\n");
  return html`<p><b>Body</b>${contentHtml(body)}</p>
${paragraphs.map((one) => html`<p>${prose(one)}</p>`)}`;
}

function contentHtml(holder: JsonObject): Html {
  const types = Object.entries(object(holder.content));
  return html`${types.map(([type, one]) => {
    const schema = object(object(one).schema);
    const known = typeof schema.$ref === "string" ? html` ${typeHtml(schema)}` : html``;
    return html` <span class="quiet"><code>${type}</code>${known}</span>`;
  })}`;
}

function schemaHtml(name: string, schema: JsonObject): Html {
  const properties = Object.entries(object(schema.properties));
  const required = list(schema.required);
  const bases = list(schema.allOf).map(object);
  return html`<details id="schema-${name}">
<summary><code>${name}</code> <span class="quiet">${text(schema.description)}</span></summary>
${bases.map((base) => html`<p>All of ${typeHtml(base)}, and:</p>`)}
<table>${properties.map(([key, value]) => {
    const one = object(value);
    return html`<tr><td><code>${key}</code></td><td>${typeHtml(one)}${required.includes(key) ? html`` : html` <span class="quiet">where set</span>`}</td><td>${prose(text(one.description))}</td></tr>\n`;
  })}</table>
</details>
`;
}

function typeHtml(schema: JsonObject): Html {
  const { $ref, type } = schema;
  if (typeof $ref === "string") {
    const name = $ref.split("/").at(-1) ?? "";
    return html`<a href="#schema-${name}">${name}</a>`;
  }
  if (type === "array") return html`list of ${typeHtml(object(schema.items))}`;
  if (Array.isArray(schema.enum)) return html`${schema.enum.map(String).join(" | ")}`;
  if (type === "object" && typeof schema.additionalProperties === "object") {
    return html`map of ${typeHtml(object(schema.additionalProperties))}`;
  }
  const examples = list(schema.examples);
  if (examples.length > 0) return html`such as <code>${examples.map(String).join(", ")}</code>`;
  return html`${text(schema.format) || text(type) || "any JSON"}`;
}

/** Text with `code` in backticks. */
function prose(said: string): Html {
  const parts = said.split("`");
  return new Html(
    parts
      .map((part, index) =>
        index % 2 === 1 ? `<code>${escapeText(part)}</code>` : escapeText(part),
      )
      .join(""),
  );
}

function object(value: JsonValue | undefined): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}

function list(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}

function text(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : "";
}
