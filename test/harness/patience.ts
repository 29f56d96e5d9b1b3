/**
 * How long a test waits for something that has to come. It only bounds how long a failure takes: on a
 * machine with other things to do everything may take twenty times as long as alone.
 */
export const patienceMs = 120_000;
