import { conformance } from "./suite.ts";

conformance("python");
