const FIRST_ROWS = 256;
const MOST_ROWS = 20_000;

/**
 * When prepared statements are planned anew. A generic plan is made for the tables as large as
 * they are at that moment, and what is right for one page (read all of it) is wrong for a thousand;
 * PostgreSQL itself plans anew only when the table was vacuumed or analyzed. So plans are dropped
 * after 256 writes, 512, 1,024 … and at last every 20,000: some ms of planning every few seconds.
 */
export class ReplanSchedule {
  #rows = 0;
  #limit = FIRST_ROWS;

  /** Counts rows that are about to be written; answers whether to plan anew before that. */
  count(rows: number): boolean {
    this.#rows += rows;
    if (this.#rows < this.#limit) return false;
    this.#rows = 0;
    this.#limit = Math.min(this.#limit * 2, MOST_ROWS);
    return true;
  }
}
