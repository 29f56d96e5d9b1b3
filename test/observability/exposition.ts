/** Reads Prometheus' text format, and is strict about it. */

export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Metric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly series: Series[];
}

const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)/y;

export function parseExposition(text: string): Map<string, Metric> {
  if (!text.endsWith("\n")) throw new Error("The last line has no end.");
  const metrics = new Map<string, Metric>();
  let current: Metric | undefined;
  for (const line of text.trimEnd().split("\n")) {
    const help = /^# HELP (\S+) (.+)$/.exec(line);
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
    if (help !== null) {
      const name = help[1] ?? "";
      if (metrics.has(name)) throw new Error(`${name} comes twice.`);
      current = { name, type: "", help: help[2] ?? "", series: [] };
    } else if (type !== null) {
      if (current === undefined || current.name !== type[1])
        throw new Error(`"${line}" is not below its help.`);
      current = { ...current, type: type[2] ?? "" };
      metrics.set(current.name, current);
    } else if (current === undefined) {
      throw new Error(`"${line}" belongs to no metric.`);
    } else {
      current.series.push(parseSeries(line, current));
    }
  }
  return metrics;
}

function parseSeries(line: string, metric: Metric): Series {
  const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
  if (match === null) throw new Error(`"${line}" is not a sample.`);
  const [, name = "", inner = "", value = ""] = match;
  const names = metric.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
  if (!names.some((suffix) => name === `${metric.name}${suffix}`)) {
    throw new Error(`${name} stands below ${metric.name}.`);
  }
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < inner.length) {
    const label = LABEL.exec(inner);
    if (label === null) throw new Error(`"${line}" has labels that cannot be read.`);
    labels[label[1] ?? ""] = JSON.parse(`"${label[2]}"`) as string;
  }
  if (!Number.isFinite(Number(value))) throw new Error(`"${line}" has no number.`);
  return { name, labels, value: Number(value) };
}

export class Scrape {
  readonly metrics: Map<string, Metric>;

  constructor(text: string) {
    this.metrics = parseExposition(text);
  }

  static async of(httpUrl: string): Promise<Scrape> {
    const response = await fetch(`${httpUrl}/metrics`);
    if (!response.ok) throw new Error(`/metrics answered ${response.status}.`);
    return new Scrape(await response.text());
  }

  /** The sum over all series of that name (with its suffix) whose labels are these. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const family =
      this.metrics.get(name) ?? this.metrics.get(name.replace(/_(count|sum|bucket)$/, ""));
    if (family === undefined) throw new Error(`There is no metric ${name}.`);
    let total = 0;
    for (const series of family.series) {
      if (series.name !== name) continue;
      if (Object.entries(labels).every(([label, value]) => series.labels[label] === value))
        total += series.value;
    }
    return total;
  }
}
