/** Runs once around all tests: every Node process that they start then has the bundle. */
import { makeBundle } from "./bundle.ts";

export default async function setup(): Promise<void> {
  const hook = await makeBundle();
  process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ""} --import=${hook}`.trim();
}
