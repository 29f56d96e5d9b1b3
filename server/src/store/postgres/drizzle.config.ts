import { defineConfig } from "drizzle-kit";

/** For `drizzle-kit generate --config src/store/postgres/drizzle.config.ts`, run in `server/`. */
export default defineConfig({
  dialect: "postgresql",
  schema: "./src/store/postgres/schema.ts",
  out: "./src/store/postgres/migrations",
});
