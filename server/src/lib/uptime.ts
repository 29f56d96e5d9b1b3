/** How long this process has been running, from its very start, in ms. */
export function uptimeMs(): number {
  return performance.now();
}
