CREATE TABLE "pawl"."delta" (
	"org_id" text COLLATE "C" NOT NULL,
	"run_id" text COLLATE "C" NOT NULL,
	"fence" integer NOT NULL,
	"first" integer NOT NULL,
	"last" integer NOT NULL,
	"after_seq" integer NOT NULL,
	"at" bigint NOT NULL,
	"keep" integer NOT NULL,
	"steps" text COLLATE "C" NOT NULL,
	"data" "bytea" NOT NULL,
	CONSTRAINT "delta_org_id_run_id_fence_first_pk" PRIMARY KEY("org_id","run_id","fence","first")
);
--> statement-breakpoint
CREATE INDEX "delta_sweep" ON "pawl"."delta" USING btree ("org_id","run_id") WHERE keep = 0;--> statement-breakpoint
CREATE INDEX "run_ended" ON "pawl"."run" USING btree ("org_id","ended_at","run_id") WHERE ended_at > 0;
--> statement-breakpoint
-- Chunks come and go; what is dead must not pile up.
ALTER TABLE "pawl"."delta" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
