import { conformance } from "./suite.ts";

conformance("go");
