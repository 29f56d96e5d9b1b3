const FIRST_ROWS = 256;
const MOST_ROWS = 8_192;
const PERIOD_MS = 2_000;

/**
 * When prepared statements are planned anew. A generic plan is made for the tables as large as
 * they are at that moment, and what is right for one page (read all of it) is wrong for a thousand;
 * PostgreSQL itself plans anew only when a table was vacuumed or analyzed. So plans are dropped
 * when many rows were added since, at first after 256, then 512 and so on; and every 2 s while
 * there are commits, since other replicas add rows too. Planning takes about a millisecond a
 * statement, so that this costs well below one percent.
 */
export class ReplanSchedule {
  readonly #timer: NodeJS.Timeout;
  #rows = 0;
  #rowsMax = FIRST_ROWS;
  #isOld = false;

  constructor() {
    this.#timer = setInterval(() => {
      this.#isOld = true;
    }, PERIOD_MS);
    this.#timer.unref();
  }

  /** Counts rows that are about to be added; returns whether to plan anew before that. */
  isDue(added: number): boolean {
    this.#rows += added;
    if (!this.#isOld && this.#rows < this.#rowsMax) return false;
    if (this.#rows >= this.#rowsMax) this.#rowsMax = Math.min(this.#rowsMax * 2, MOST_ROWS);
    this.#rows = 0;
    this.#isOld = false;
    return true;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
