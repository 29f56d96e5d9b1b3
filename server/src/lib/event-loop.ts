const PERIOD_MS = 100;

/**
 * Reports periodically by how much a timer was late, in seconds: all other work waited for that
 * long, too. Returns a function that stops it.
 */
export function watchEventLoop(observe: (lateSeconds: number) => void): () => void {
  let dueMs = performance.now() + PERIOD_MS;
  const timer = setInterval(() => {
    const now = performance.now();
    observe(Math.max(0, now - dueMs) / 1_000);
    dueMs = now + PERIOD_MS;
  }, PERIOD_MS);
  timer.unref();
  return () => clearInterval(timer);
}
