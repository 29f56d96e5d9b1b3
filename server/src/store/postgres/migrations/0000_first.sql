-- By drizzle-kit from schema.ts; the storage settings at the end, which it cannot express, by hand.
CREATE TABLE "pawl"."due" (
	"org_id" text COLLATE "C" NOT NULL,
	"run_id" text COLLATE "C" NOT NULL,
	"kind" text COLLATE "C" NOT NULL,
	"step_key" text COLLATE "C" NOT NULL,
	"at" bigint NOT NULL,
	"data" text COLLATE "C" NOT NULL,
	CONSTRAINT "due_org_id_run_id_kind_step_key_pk" PRIMARY KEY("org_id","run_id","kind","step_key")
);
--> statement-breakpoint
CREATE TABLE "pawl"."journal" (
	"org_id" text COLLATE "C" NOT NULL,
	"run_id" text COLLATE "C" NOT NULL,
	"seq" integer NOT NULL,
	"at" bigint NOT NULL,
	"attempt" integer NOT NULL,
	"crc" bigint NOT NULL,
	"type" text COLLATE "C" NOT NULL,
	"step_key" text COLLATE "C" NOT NULL,
	"meta" text COLLATE "C" NOT NULL,
	"encoding" text COLLATE "C",
	"payload_sha256" text COLLATE "C",
	"payload_size" bigint,
	"payload" "bytea",
	CONSTRAINT "journal_org_id_run_id_seq_pk" PRIMARY KEY("org_id","run_id","seq")
);
--> statement-breakpoint
CREATE TABLE "pawl"."lease" (
	"org_id" text COLLATE "C" NOT NULL,
	"run_id" text COLLATE "C" NOT NULL,
	"session_id" text COLLATE "C" NOT NULL,
	"worker_id" text COLLATE "C" NOT NULL,
	"until" bigint NOT NULL,
	CONSTRAINT "lease_org_id_run_id_pk" PRIMARY KEY("org_id","run_id")
);
--> statement-breakpoint
CREATE TABLE "pawl"."nudge" (
	"org_id" text COLLATE "C" NOT NULL,
	"run_id" text COLLATE "C" NOT NULL,
	"replica_id" text COLLATE "C" NOT NULL,
	CONSTRAINT "nudge_org_id_run_id_replica_id_pk" PRIMARY KEY("org_id","run_id","replica_id")
);
--> statement-breakpoint
CREATE TABLE "pawl"."payload" (
	"org_id" text COLLATE "C" NOT NULL,
	"sha256" text COLLATE "C" NOT NULL,
	"put_at" bigint NOT NULL,
	"size" bigint NOT NULL,
	"data" "bytea" NOT NULL,
	CONSTRAINT "payload_org_id_sha256_pk" PRIMARY KEY("org_id","sha256")
);
--> statement-breakpoint
CREATE TABLE "pawl"."payload_ref" (
	"org_id" text COLLATE "C" NOT NULL,
	"sha256" text COLLATE "C" NOT NULL,
	"run_id" text COLLATE "C" NOT NULL,
	CONSTRAINT "payload_ref_org_id_sha256_run_id_pk" PRIMARY KEY("org_id","sha256","run_id")
);
--> statement-breakpoint
CREATE TABLE "pawl"."ready" (
	"org_id" text COLLATE "C" NOT NULL,
	"run_id" text COLLATE "C" NOT NULL,
	"queue" text COLLATE "C" NOT NULL,
	"lane" text COLLATE "C" NOT NULL,
	"rank" integer NOT NULL,
	"ready_at" bigint NOT NULL,
	CONSTRAINT "ready_org_id_run_id_pk" PRIMARY KEY("org_id","run_id")
);
--> statement-breakpoint
CREATE TABLE "pawl"."run" (
	"org_id" text COLLATE "C" NOT NULL,
	"run_id" text COLLATE "C" NOT NULL,
	"seq" integer NOT NULL,
	"updated_at" bigint NOT NULL,
	"fence" integer NOT NULL,
	"state" text COLLATE "C" NOT NULL,
	"reason" text COLLATE "C" NOT NULL,
	"intent" text COLLATE "C" NOT NULL,
	"attempt" integer NOT NULL,
	"crashes" integer NOT NULL,
	"priority" integer NOT NULL,
	"created_at" bigint NOT NULL,
	"start_at" bigint NOT NULL,
	"started_at" bigint NOT NULL,
	"ended_at" bigint NOT NULL,
	"workflow" text COLLATE "C" NOT NULL,
	"version" text COLLATE "C" NOT NULL,
	"queue" text COLLATE "C" NOT NULL,
	"input_digest" text COLLATE "C" NOT NULL,
	"parent_run_id" text COLLATE "C" NOT NULL,
	"parent_key" text COLLATE "C" NOT NULL,
	"options" text COLLATE "C" NOT NULL,
	"tags" text COLLATE "C" NOT NULL,
	"waiting" text COLLATE "C",
	CONSTRAINT "run_org_id_run_id_pk" PRIMARY KEY("org_id","run_id")
);
--> statement-breakpoint
CREATE TABLE "pawl"."run_tag" (
	"org_id" text COLLATE "C" NOT NULL,
	"key" text COLLATE "C" NOT NULL,
	"value" text COLLATE "C" NOT NULL,
	"created_at" bigint NOT NULL,
	"run_id" text COLLATE "C" NOT NULL,
	CONSTRAINT "run_tag_org_id_key_value_created_at_run_id_pk" PRIMARY KEY("org_id","key","value","created_at","run_id")
);
--> statement-breakpoint
CREATE TABLE "pawl"."worker" (
	"org_id" text COLLATE "C" NOT NULL,
	"worker_id" text COLLATE "C" NOT NULL,
	"instance_id" text COLLATE "C" NOT NULL,
	"connected" integer NOT NULL,
	"seen_at" bigint NOT NULL,
	"info" text COLLATE "C" NOT NULL,
	CONSTRAINT "worker_org_id_worker_id_pk" PRIMARY KEY("org_id","worker_id")
);
--> statement-breakpoint
CREATE TABLE "pawl"."workflow" (
	"org_id" text COLLATE "C" NOT NULL,
	"name" text COLLATE "C" NOT NULL,
	"version" text COLLATE "C" NOT NULL,
	"description" text COLLATE "C" NOT NULL,
	"input_schema" text COLLATE "C" NOT NULL,
	"output_schema" text COLLATE "C" NOT NULL,
	"metadata" text COLLATE "C" NOT NULL,
	"versions" text COLLATE "C" NOT NULL,
	"registered_at" bigint NOT NULL,
	CONSTRAINT "workflow_org_id_name_pk" PRIMARY KEY("org_id","name")
);
--> statement-breakpoint
CREATE INDEX "due_at" ON "pawl"."due" USING btree ("at","org_id","run_id");--> statement-breakpoint
CREATE INDEX "lease_session" ON "pawl"."lease" USING btree ("session_id");--> statement-breakpoint
CREATE INDEX "nudge_replica" ON "pawl"."nudge" USING btree ("replica_id");--> statement-breakpoint
CREATE INDEX "payload_put" ON "pawl"."payload" USING btree ("put_at");--> statement-breakpoint
CREATE INDEX "payload_ref_run" ON "pawl"."payload_ref" USING btree ("org_id","run_id");--> statement-breakpoint
CREATE INDEX "ready_order" ON "pawl"."ready" USING btree ("org_id","queue","lane","rank","ready_at","run_id");--> statement-breakpoint
CREATE INDEX "run_created" ON "pawl"."run" USING btree ("org_id","created_at","run_id");--> statement-breakpoint
CREATE INDEX "run_state" ON "pawl"."run" USING btree ("org_id","state","created_at","run_id");--> statement-breakpoint
CREATE INDEX "run_workflow" ON "pawl"."run" USING btree ("org_id","workflow","created_at","run_id");--> statement-breakpoint
CREATE INDEX "run_parent" ON "pawl"."run" USING btree ("org_id","parent_run_id","created_at","run_id") WHERE parent_run_id <> '';--> statement-breakpoint
CREATE INDEX "run_tag_run" ON "pawl"."run_tag" USING btree ("org_id","run_id");--> statement-breakpoint
CREATE INDEX "worker_seen" ON "pawl"."worker" USING btree ("org_id","seen_at");
--> statement-breakpoint
-- Steps update run rows in place (HOT): room on the page, and no index on what they change.
ALTER TABLE "pawl"."run" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);--> statement-breakpoint
-- So do renewals with leases.
ALTER TABLE "pawl"."lease" SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);--> statement-breakpoint
-- Rows of these come and go; what is dead must not pile up in front of the oldest.
ALTER TABLE "pawl"."ready" SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);--> statement-breakpoint
ALTER TABLE "pawl"."due" SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
