/** The pages behind answer links: plain HTML, no scripts, nothing from elsewhere. */
import { createHash } from "node:crypto";
import { approvalsNeeded, type Question } from "../model/question.ts";
import { type InputField, inputFields, inputName, JSON_FIELD } from "./answer-form.ts";

const STYLE = `
:root { color-scheme: light dark; --line: #767676; --accent: #1d5fae; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --accent: #8ab8f0; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { font: 1.0625rem/1.5 system-ui, sans-serif; margin: 0; padding: 1.5rem 1rem; }
main { max-width: 40rem; margin: 0 auto; }
h1 { font-size: 1.375rem; line-height: 1.3; margin: 0 0 1rem; white-space: pre-wrap; overflow-wrap: anywhere; }
fieldset { border: 0; margin: 0 0 1rem; padding: 0; }
legend, label.title { display: block; font-weight: 600; margin: 0 0 .25rem; padding: 0; }
label.option { display: flex; gap: .625rem; align-items: baseline; padding: .5rem 0; }
input[type=text], input[type=number], select, textarea { font: inherit; width: 100%; padding: .5rem; border: 1px solid var(--line); border-radius: .375rem; }
p.help { margin: .25rem 0; font-size: .9375rem; }
p.error { border-left: .25rem solid var(--bad); padding: .5rem .75rem; overflow-wrap: anywhere; }
.field { margin: 0 0 1rem; }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.25rem; }
button { font: inherit; font-weight: 600; padding: .625rem 1.25rem; border-radius: .375rem; border: 2px solid var(--accent); background: transparent; color: var(--accent); cursor: pointer; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
footer { margin-top: 2rem; font-size: .875rem; }
`;

const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  "cache-control": "no-store",
  // The address holds the token.
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-robots-tag": "noindex",
};

function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`;
}

/**
 * The question and a form for its answer.
 *
 * @param assignee who answers; empty where nobody is named
 * @param error what was wrong with the answer that was sent
 * @param given what was filled in then
 */
export function questionPage(
  question: Question,
  assignee: string,
  error = "",
  given = new URLSearchParams(),
): string {
  const alert =
    error === "" ? "" : `<p class="error" role="alert" id="error">${escapeHtml(error)}</p>\n`;
  const described = error === "" ? "" : ' aria-describedby="error"';
  const skip =
    question.skippable === true
      ? '\n<button type="submit" name="action" value="skip" formnovalidate>Skip</button>'
      : "";
  const as = assignee === "" ? "" : `<p>You answer as ${escapeHtml(assignee)}.</p>\n`;
  const body = `<h1>${escapeHtml(question.prompt)}</h1>
${as}${alert}<form method="post" action=""${described}>
${inputs(question, given)}
${commentInput(given)}
<div class="buttons">
${buttons(question)}${skip}
</div>
</form>
<footer>The link can be used once. Reading this page changes nothing.</footer>`;
  return page(error === "" ? question.prompt.slice(0, 80) : "The answer was not taken", body);
}

function commentInput(given: URLSearchParams): string {
  return `<div class="field">
<label class="title" for="comment">Comment (optional)</label>
<textarea id="comment" name="comment" rows="2">${escapeHtml(given.get("comment") ?? "")}</textarea>
</div>`;
}

function buttons(question: Question): string {
  if (question.type !== "approval") return '<button type="submit">Send the answer</button>';
  return `<button type="submit" name="answer" value="true">Approve</button>
<button type="submit" name="answer" value="false">Reject</button>`;
}

function inputs(question: Question, given: URLSearchParams): string {
  const { options = [], allowCustom } = question;
  switch (question.type) {
    case "text":
      return `<div class="field">
<label class="title" for="answer">Your answer</label>
<textarea id="answer" name="answer" rows="4">${escapeHtml(given.get("answer") ?? "")}</textarea>
</div>`;
    case "approval": {
      const needed = approvalsNeeded(question);
      const help = needed > 1 ? `${needed} people must approve. ` : "";
      return `<p class="field">${help}A single rejection decides.</p>`;
    }
    case "choice":
    case "multichoice": {
      const type = question.type === "choice" ? "radio" : "checkbox";
      const chosen = given.getAll("answer");
      const rows = options.map(({ value, label }) =>
        option(type, "answer", value, label || value, chosen.includes(value)),
      );
      const custom = allowCustom === true ? `\n${customInput(given)}` : "";
      const legend = type === "radio" ? "Choose one" : "Choose any";
      return `<fieldset>\n<legend>${legend}</legend>\n${rows.join("\n")}\n</fieldset>${custom}`;
    }
    case "form":
      return formInputs(question.formSchema ?? "", given);
  }
}

function option(
  type: "radio" | "checkbox",
  name: string,
  value: string,
  label: string,
  checked: boolean,
): string {
  const mark = checked ? " checked" : "";
  return `<label class="option"><input type="${type}" name="${escapeHtml(name)}" value="${escapeHtml(value)}"${mark}> <span>${escapeHtml(label)}</span></label>`;
}

function customInput(given: URLSearchParams): string {
  return `<div class="field">
<label class="title" for="custom">Or in your own words</label>
<input type="text" id="custom" name="custom" value="${escapeHtml(given.get("custom") ?? "")}">
</div>`;
}

function formInputs(formSchema: string, given: URLSearchParams): string {
  const fields = inputFields(formSchema);
  if (fields !== undefined) {
    return fields.map((field, index) => fieldInput(field, `field-${index}`, given)).join("\n");
  }
  return `<div class="field">
<label class="title" for="json">Your answer, as JSON</label>
<p class="help" id="json-help">It must be valid against this JSON Schema: <code>${escapeHtml(formSchema)}</code></p>
<textarea id="json" name="${JSON_FIELD}" rows="8" aria-describedby="json-help">${escapeHtml(given.get(JSON_FIELD) ?? "")}</textarea>
</div>`;
}

function fieldInput(field: InputField, id: string, given: URLSearchParams): string {
  const name = inputName(field.name);
  const value = given.get(name) ?? "";
  const label =
    escapeHtml(field.title) + (field.required && field.input !== "checkbox" ? " (required)" : "");
  const help =
    field.description === ""
      ? ""
      : `<p class="help" id="${id}-help">${escapeHtml(field.description)}</p>\n`;
  const about = field.description === "" ? "" : ` aria-describedby="${id}-help"`;
  if (field.input === "checkbox")
    return `${option("checkbox", name, "true", field.title, value !== "")}\n${help}`;
  if (field.input === "checkboxes") {
    const chosen = given.getAll(name);
    const rows = field.options.map((one) =>
      option("checkbox", name, one, one, chosen.includes(one)),
    );
    return `<fieldset>\n<legend>${label}</legend>\n${help}${rows.join("\n")}\n</fieldset>`;
  }
  const required = field.required && field.input !== "text" ? " required" : "";
  const attributes = `id="${id}" name="${escapeHtml(name)}"${about}${required}`;
  const input =
    field.input === "select"
      ? `<select ${attributes}>${["", ...field.options].map((one) => `<option value="${escapeHtml(one)}"${one === value ? " selected" : ""}>${escapeHtml(one)}</option>`).join("")}</select>`
      : field.input === "number"
        ? `<input type="number" step="any" ${attributes} value="${escapeHtml(value)}">`
        : `<input type="text" ${attributes} value="${escapeHtml(value)}">`;
  return `<div class="field">\n<label class="title" for="${id}">${label}</label>\n${help}${input}\n</div>`;
}

/** @param open whether more people's answers are needed */
export function donePage(question: Question, duplicate: boolean, open: boolean): string {
  const title = duplicate ? "Your answer was recorded before" : "Your answer is recorded";
  const more = open ? "<p>The question stays open until more people have approved.</p>\n" : "";
  return page(
    title,
    `<h1>${title}</h1>\n<p>${escapeHtml(question.prompt)}</p>\n${more}<p>You can close this page.</p>`,
  );
}

export function problemPage(message: string): string {
  const title = "This link cannot be used";
  return page(title, `<h1>${title}</h1>\n<p>${escapeHtml(message)}</p>`);
}
