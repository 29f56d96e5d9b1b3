/**
 * What every store must do, whatever is below it. Goal: the engine can rely on store.ts and on
 * nothing else. Method: each invariant is attacked over the interface, on a real database.
 */
import { afterEach, beforeEach, describe } from "vitest";
import type { Store } from "../../server/src/store/store.ts";
import { admissionTests } from "./admission-tests.ts";
import { busTests } from "./bus-tests.ts";
import { claimTests } from "./claim-tests.ts";
import { commitTests } from "./commit-tests.ts";
import { deltaTests } from "./delta-tests.ts";
import { dueTests } from "./due-tests.ts";
import { keyTests } from "./key-tests.ts";
import { leaseTests } from "./lease-tests.ts";
import { payloadTests } from "./payload-tests.ts";
import { randomTests } from "./random-tests.ts";
import { readTests } from "./read-tests.ts";
import { registryTests } from "./registry-tests.ts";
import { retentionTests } from "./retention-tests.ts";
import { waitTests } from "./wait-tests.ts";

/** A store on an empty database of its own. */
export interface Opened {
  store: Store;
  /** Closes the store and opens the same database again, also as `store`. */
  reopen(): Promise<Store>;
  /** Runs SQL behind the store's back; tables are named without their schema. */
  meddle(sql: string): Promise<void>;
  close(): Promise<void>;
}

export function storeSuite(name: string, open: () => Promise<Opened>): void {
  describe(name, () => {
    let opened: Opened | undefined;
    const get = (): Opened => {
      if (opened === undefined) throw new Error("There is a store within tests only.");
      return opened;
    };
    beforeEach(async () => {
      opened = await open();
    });
    afterEach(async () => {
      await opened?.close();
      opened = undefined;
    });
    commitTests(get);
    claimTests(get);
    admissionTests(get);
    deltaTests(get);
    readTests(get);
    dueTests(get);
    leaseTests(get);
    registryTests(get);
    keyTests(get);
    payloadTests(get);
    retentionTests(get);
    busTests(get);
    waitTests(get);
    randomTests(get);
  });
}
