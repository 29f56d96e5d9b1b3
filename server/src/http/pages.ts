/** The few plain pages: what is here, and whether it works. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { VERSION } from "../lib/version.ts";
import { nothingAt, sendRefusal, wrongMethod } from "./problem.ts";

export function sendPage(
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
  ready: () => boolean,
): void {
  const page = pageAt(path, request, ready);
  const { method = "GET" } = request;
  if (page === undefined) sendRefusal(response, nothingAt(path), method);
  else if (method !== "GET" && method !== "HEAD") {
    sendRefusal(response, wrongMethod(method, path, ["GET"]), method);
  } else {
    response.writeHead(page.status, { "content-type": page.type ?? "text/plain; charset=utf-8" });
    response.end(method === "HEAD" ? undefined : `${page.text}\n`);
  }
}

interface Page {
  readonly status: number;
  readonly text: string;
  readonly type?: string;
}

function pageAt(path: string, request: IncomingMessage, ready: () => boolean): Page | undefined {
  switch (path) {
    case "/healthz":
      return { status: 200, text: "The server is alive." };
    case "/readyz":
      return ready()
        ? { status: 200, text: "The server is ready." }
        : { status: 503, text: "The server does not reach its store, or is stopping." };
    case "/":
      return greeting(request);
    default:
      return undefined;
  }
}

function greeting({ headers }: IncomingMessage): Page {
  const url = `http://${headers.host ?? "127.0.0.1:8000"}`;
  if (headers.accept?.includes("text/html") === true) {
    return { status: 200, text: htmlGreeting(), type: "text/html; charset=utf-8" };
  }
  const text = [
    `Pawl ${VERSION}, a control plane for durable execution.`,
    "",
    "Plain JSON under /v1, for example:",
    `  curl ${url}/v1/runs`,
    `  curl --json '{"name": "you"}' '${url}/v1/workflows/greet/runs?wait=30s'`,
    `  curl -N ${url}/v1/runs/ID/events`,
    "All routes: /docs for people, /openapi.json for programs.",
    "",
    "Every RPC of pawl.v1 answers to POST with JSON, and to gRPC-Web, for example:",
    `  curl --json '{}' ${url}/pawl.v1.RunService/ListRuns`,
    "Health: /healthz (alive), /readyz (the store answers). Metrics: /metrics.",
    "gRPC has a port of its own.",
  ].join("\n");
  return { status: 200, text };
}

function htmlGreeting(): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pawl</title>
<style>:root{color-scheme:light dark}body{font:16px/1.6 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}</style>
</head>
<body>
<h1>Pawl ${VERSION}</h1>
<p>A control plane for durable execution.</p>
<ul>
<li><a href="/docs">/docs</a>: all routes under /v1; <a href="/openapi.json">/openapi.json</a>: the same for programs</li>
<li><a href="/v1/runs">/v1/runs</a>, <a href="/v1/workflows">/v1/workflows</a>, <a href="/v1/workers">/v1/workers</a></li>
<li><a href="/healthz">/healthz</a>: alive; <a href="/readyz">/readyz</a>: the store answers; <a href="/metrics">/metrics</a>: for Prometheus</li>
</ul>
<p>Every RPC of pawl.v1 is at /pawl.v1.SERVICE/METHOD, by POST with JSON and by gRPC-Web.</p>
</body>
</html>`;
}
