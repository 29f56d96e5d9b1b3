/** Organization, run and replica of a row that is written and taken out again in one transaction. */
export const PROBE: readonly string[] = ["", "", "probe"];
