const PERIOD_MS = 100;

/**
 * Tells again and again by how much a timer was late, in seconds: for that long, everything else
 * that had to be done waited, too. Answers how to stop.
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
