/**
 * Counters, gauges and histograms in memory, and their text form for Prometheus. Made for a hot
 * path: a counter is a number, a histogram an array, and code that counts often keeps the object
 * instead of looking it up. Nothing here knows what is counted.
 *
 * Label values come from users, so the number of series of a metric is bounded: what comes after
 * the last one is counted under `other`.
 */

/** What stands for every label value beyond the bound. */
export const OTHER = "other";

const SERIES_MAX = 200;

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

export interface HistogramSample {
  readonly labels: Labels;
  /** Upper bounds of the buckets, ascending, without the last one, which has none. */
  readonly bounds: readonly number[];
  /** How many fell into each bucket; one more than there are bounds. */
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}

/** One metric with all its series, as it is at one moment. */
export type MetricFamily = { readonly name: string; readonly help: string } & (
  | { readonly type: "counter" | "gauge"; readonly samples: readonly Sample[] }
  | { readonly type: "histogram"; readonly samples: readonly HistogramSample[] }
);

export class Counter {
  value = 0;

  inc(by = 1): void {
    this.value += by;
  }
}

export class Histogram {
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.bounds.length && value > (this.bounds[bucket] ?? 0)) bucket += 1;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sum += value;
    this.count += 1;
  }
}

/** The series of one metric, one per combination of label values. */
export class Series<T> {
  readonly #names: readonly string[];
  readonly #make: () => T;
  readonly #byKey = new Map<string, { readonly labels: Labels; readonly metric: T }>();

  constructor(names: readonly string[], make: () => T) {
    this.#names = names;
    this.#make = make;
  }

  /** The series with these values, in the order of the metric's labels. */
  of(...values: readonly string[]): T {
    const key = values.length === 1 ? (values[0] ?? "") : values.join("\n");
    const found = this.#byKey.get(key);
    if (found !== undefined) return found.metric;
    if (this.#byKey.size >= SERIES_MAX && values.some((value) => value !== OTHER)) {
      return this.of(...values.map(() => OTHER));
    }
    const labels = Object.fromEntries(this.#names.map((name, at) => [name, values[at] ?? ""]));
    const metric = this.#make();
    this.#byKey.set(key, { labels, metric });
    return metric;
  }

  all(): IterableIterator<{ readonly labels: Labels; readonly metric: T }> {
    return this.#byKey.values();
  }
}

export class Registry {
  readonly #families = new Map<string, () => MetricFamily>();
  readonly #before: (() => Promise<void>)[] = [];

  counter(name: string, help: string): Counter {
    const counter = new Counter();
    this.#add(name, () => ({ name, help, type: "counter", samples: [sample(counter.value)] }));
    return counter;
  }

  counters(name: string, help: string, labels: readonly string[]): Series<Counter> {
    const series = new Series(labels, () => new Counter());
    this.#add(name, () => ({
      name,
      help,
      type: "counter",
      samples: [...series.all()].map(({ labels, metric }) => ({ labels, value: metric.value })),
    }));
    return series;
  }

  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const histogram = new Histogram(bounds);
    this.#add(name, () => ({
      name,
      help,
      type: "histogram",
      samples: [histogramSample({}, histogram)],
    }));
    return histogram;
  }

  /** A value that is read when somebody asks; counters that are kept elsewhere are read alike. */
  read(
    type: "counter" | "gauge",
    name: string,
    help: string,
    value: () => number | readonly Sample[],
  ): void {
    this.#add(name, () => {
      const now = value();
      return { name, help, type, samples: typeof now === "number" ? [sample(now)] : now };
    });
  }

  /** Called, and waited for, before each collection: for what cannot be read at once. Must not reject. */
  beforeCollect(prepare: () => Promise<void>): void {
    this.#before.push(prepare);
  }

  /** Every metric as it is now, in the order in which they were made. */
  async collect(): Promise<MetricFamily[]> {
    await Promise.all(this.#before.map((prepare) => prepare()));
    return [...this.#families.values()].map((family) => family());
  }

  #add(name: string, family: () => MetricFamily): void {
    if (this.#families.has(name)) throw new Error(`There are two metrics of the name ${name}.`);
    this.#families.set(name, family);
  }
}

const NO_LABELS: Labels = Object.freeze({});

function sample(value: number): Sample {
  return { labels: NO_LABELS, value };
}

function histogramSample(labels: Labels, histogram: Histogram): HistogramSample {
  const { bounds, sum, count } = histogram;
  return { labels, bounds, counts: [...histogram.counts], sum, count };
}

/** Of `exposition`'s text. */
export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** The metrics in Prometheus' text format. */
export function exposition(families: readonly MetricFamily[]): string {
  const lines: string[] = [];
  for (const family of families) {
    const { name, type } = family;
    lines.push(`# HELP ${name} ${escapeHelp(family.help)}`, `# TYPE ${name} ${type}`);
    if (family.type === "histogram") {
      for (const one of family.samples) lines.push(...histogramLines(name, one));
    } else {
      for (const { labels, value } of family.samples) lines.push(line(name, labels, value));
    }
  }
  return `${lines.join("\n")}\n`;
}

function histogramLines(name: string, { labels, bounds, counts, sum, count }: HistogramSample) {
  let below = 0;
  const lines = bounds.map((bound, at) => {
    below += counts[at] ?? 0;
    return line(`${name}_bucket`, { ...labels, le: String(bound) }, below);
  });
  lines.push(line(`${name}_bucket`, { ...labels, le: "+Inf" }, count));
  lines.push(line(`${name}_sum`, labels, sum), line(`${name}_count`, labels, count));
  return lines;
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}`;
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
