let turn = 0;
let watched = false;

/**
 * Which turn of the event loop the code runs in: one callback of the loop's, with all microtasks
 * that follow from it. The order of what happens within one is the program's own.
 */
export function loopTurn(): number {
  if (!watched) {
    watched = true;
    // A `nextTick` asked for from within a microtask runs when no microtask is left.
    queueMicrotask(() =>
      process.nextTick(() => {
        turn += 1;
        watched = false;
      }),
    );
  }
  return turn;
}
