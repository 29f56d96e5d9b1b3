import { expect, test } from "vitest";
import { exposition, Registry } from "./metrics.ts";

test("label values beyond the bound share one series", async () => {
  const registry = new Registry();
  const series = registry.counters("c_total", "Help.", ["workflow", "outcome"]);
  for (let at = 0; at < 500; at += 1) series.of(`w${at}`, "failed").inc();
  series.of("w3", "failed").inc();
  const [family] = await registry.collect();
  const samples = family?.type === "counter" ? family.samples : [];
  expect(samples).toHaveLength(201);
  expect(samples.find(({ labels }) => labels.workflow === "w3")?.value).toBe(2);
  expect(samples.find(({ labels }) => labels.workflow === "other")?.value).toBe(300);
  expect(samples.reduce((total, { value }) => total + value, 0)).toBe(501);
});

test("labels and help are escaped, buckets are cumulative and include their bound", async () => {
  const registry = new Registry();
  registry.counters("c_total", "A\nB\\C", ["l"]).of('a"b\\c\nd').inc();
  const histogram = registry.histogram("h", "Help.", [1, 2]);
  for (const value of [0.5, 1, 1.5, 9]) histogram.observe(value);
  expect(exposition(await registry.collect())).toBe(
    [
      "# HELP c_total A\\nB\\\\C",
      "# TYPE c_total counter",
      'c_total{l="a\\"b\\\\c\\nd"} 1',
      "# HELP h Help.",
      "# TYPE h histogram",
      'h_bucket{le="1"} 2',
      'h_bucket{le="2"} 3',
      'h_bucket{le="+Inf"} 4',
      "h_sum 12",
      "h_count 4",
      "",
    ].join("\n"),
  );
});

test("two metrics of one name are refused", () => {
  const registry = new Registry();
  registry.counter("c_total", "Help.");
  expect(() => registry.histogram("c_total", "Help.", [1])).toThrow("two metrics");
});
