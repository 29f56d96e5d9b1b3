import { verdict } from "../shared/approval.ts";

export const command = verdict("reject");
