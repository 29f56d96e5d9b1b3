/**
 * Goal: dashboard and alert rules ask for what is there. Method: every expression is parsed by
 * Prometheus' own grammar; its metrics and labels are looked up in a real server's exposition.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { SyntaxNodeRef } from "@lezer/common";
import { parser } from "@prometheus-io/lezer-promql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { startServer, type TestServer } from "../harness/server.ts";
import { Scrape } from "./exposition.ts";
import { workload } from "./workload.ts";

const FOLDER = join(import.meta.dirname, "../../deploy/observability");
/** What Prometheus adds to every series. */
const ADDED = ["instance", "job"];
/** Of Prometheus itself. */
const OWN = ["up"];

interface Target {
  expr: string;
}
interface Panel {
  id: number;
  type: string;
  title: string;
  targets?: Target[];
}
interface Dashboard {
  panels: Panel[];
  templating: { list: { query: string | { query: string } }[] };
}
interface Rules {
  groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[];
}

const read = (file: string): string => readFileSync(join(FOLDER, file), "utf8");
const dashboard = JSON.parse(read("dashboard.json")) as Dashboard;
const rules = (parse(read("alerts.yml")) as Rules).groups.flatMap((group) => group.rules);

/** Grafana puts these in before Prometheus sees the expression. */
function filledIn(expr: string): string {
  return expr.replaceAll("$__rate_interval", "5m").replaceAll("$instance", ".*");
}

const expressions: [where: string, expr: string][] = [
  ...dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }): [string, string] => [`panel "${title}"`, filledIn(expr)]),
  ),
  ...rules.map(({ alert, expr }): [string, string] => [`rule ${alert}`, expr]),
];

interface Asked {
  readonly metrics: { readonly name: string; readonly matchers: Record<string, string> }[];
  readonly groupedBy: string[];
}

/** What an expression asks for. Throws where it is none. */
function askedBy(expr: string): Asked {
  const asked: Asked = { metrics: [], groupedBy: [] };
  const text = ({ from, to }: SyntaxNodeRef): string => expr.slice(from, to);
  parser.parse(expr).iterate({
    enter(node) {
      if (node.type.isError) throw new Error(`"${expr}" breaks off at ${node.from}.`);
      const parent = node.node.parent?.name;
      if (node.name === "Identifier") asked.metrics.push({ name: text(node), matchers: {} });
      else if (node.name === "LabelName" && parent === "GroupingLabels")
        asked.groupedBy.push(text(node));
      else if (node.name === "UnquotedLabelMatcher") {
        const [, label = "", op = "", value = ""] =
          /^(\w+)\s*(=~|!~|!=|=)\s*"(.*)"$/.exec(text(node)) ?? [];
        const matchers = asked.metrics.at(-1)?.matchers;
        if (matchers !== undefined) matchers[label] = op === "=" ? value : "";
      }
    },
  });
  return asked;
}

let server: TestServer;
let scrape: Scrape;
beforeAll(async () => {
  server = await startServer();
  await workload(server.grpcUrl);
  // A run that nobody takes, so that there is a queue.
  await fetch(`${server.httpUrl}/pawl.v1.RunService/StartRun`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ workflow: "observed", input: { data: btoa('{"secret":""}') } }),
  });
  scrape = await Scrape.of(server.httpUrl);
});
afterAll(() => server.stop());

function seriesOf(name: string) {
  const base = name.replace(/_(bucket|sum|count)$/, "");
  const metric = scrape.metrics.get(name) ?? scrape.metrics.get(base);
  return metric?.series.filter((series) => series.name === name) ?? [];
}

test("expressions that are wrong would be noticed", () => {
  expect(() => askedBy("sum(rate(pawl_runs_started_total[5m])")).toThrow("breaks off");
  expect(seriesOf("pawl_no_such_metric")).toEqual([]);
  expect(askedBy('sum by (a) (rate(m_bucket{b="c", d=~"e"}[5m]))')).toEqual({
    metrics: [{ name: "m_bucket", matchers: { b: "c", d: "" } }],
    groupedBy: ["a"],
  });
});

describe.each(expressions)("%s", (_where, expr) => {
  test("names metrics, labels and values that are there", () => {
    const { metrics, groupedBy } = askedBy(expr);
    expect(metrics).not.toEqual([]);
    const known = new Set(ADDED);
    for (const { name, matchers } of metrics) {
      if (OWN.includes(name)) continue;
      const series = seriesOf(name);
      expect(series.length, name).toBeGreaterThan(0);
      for (const one of series) for (const label of Object.keys(one.labels)) known.add(label);
      for (const [label, value] of Object.entries(matchers)) {
        if (ADDED.includes(label)) continue;
        const values = series.map((one) => one.labels[label]);
        expect(values, `${name}{${label}}`).not.toContain(undefined);
        if (value !== "") expect(values, `${name}{${label}}`).toContain(value);
      }
    }
    for (const label of groupedBy) expect([...known]).toContain(label);
  });
});

test("the dashboard shows every metric of Pawl's", () => {
  const shown = new Set(
    expressions.flatMap(([, expr]) => askedBy(expr).metrics.map((m) => m.name)),
  );
  const missing = [...scrape.metrics.keys()].filter(
    (name) => ![name, `${name}_bucket`].some((known) => shown.has(known)),
  );
  expect(missing).toEqual(["pawl_build_info", "process_start_time_seconds"]);
  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
});

test("alerts say what is wrong, and configurations name what is there", () => {
  for (const { alert, annotations } of rules) {
    expect(alert).toMatch(/^Pawl[A-Z]/);
    expect(annotations.summary.length).toBeGreaterThan(20);
  }
  const prometheus = parse(read("prometheus.yml")) as { rule_files: string[] };
  expect(prometheus.rule_files).toEqual(["alerts.yml"]);
  const collector = parse(read("otel-collector.yml")) as {
    receivers: object;
    exporters: object;
    service: { pipelines: Record<string, { receivers: string[]; exporters: string[] }> };
  };
  for (const pipeline of Object.values(collector.service.pipelines)) {
    expect(Object.keys(collector.receivers)).toEqual(expect.arrayContaining(pipeline.receivers));
    expect(Object.keys(collector.exporters)).toEqual(expect.arrayContaining(pipeline.exporters));
  }
});
