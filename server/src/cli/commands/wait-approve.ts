import { answerApproval } from "../shared/answering.ts";

export const run = answerApproval(true);
