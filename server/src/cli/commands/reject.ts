import { verdict } from "../verdict.ts";

export const command = verdict("reject");
