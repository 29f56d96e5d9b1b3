import { defineConfig } from "drizzle-kit";

/** For `drizzle-kit generate --config src/store/sqlite/drizzle.config.ts`, run in `server/`. */
export default defineConfig({
  dialect: "sqlite",
  schema: "./src/store/sqlite/schema.ts",
  out: "./src/store/sqlite/migrations",
});
