CREATE TABLE "pawl"."secret" (
	"org_id" text COLLATE "C" NOT NULL,
	"name" text COLLATE "C" NOT NULL,
	"value" text COLLATE "C" NOT NULL,
	CONSTRAINT "secret_org_id_name_pk" PRIMARY KEY("org_id","name")
);
--> statement-breakpoint
CREATE TABLE "pawl"."wait" (
	"org_id" text COLLATE "C" NOT NULL,
	"run_id" text COLLATE "C" NOT NULL,
	"step_key" text COLLATE "C" NOT NULL,
	"kind" text COLLATE "C" NOT NULL,
	"workflow" text COLLATE "C" NOT NULL,
	"since" bigint NOT NULL,
	"until" bigint NOT NULL,
	"data" text COLLATE "C" NOT NULL,
	CONSTRAINT "wait_org_id_run_id_step_key_pk" PRIMARY KEY("org_id","run_id","step_key")
);
--> statement-breakpoint
CREATE TABLE "pawl"."wait_assignee" (
	"org_id" text COLLATE "C" NOT NULL,
	"assignee" text COLLATE "C" NOT NULL,
	"since" bigint NOT NULL,
	"run_id" text COLLATE "C" NOT NULL,
	"step_key" text COLLATE "C" NOT NULL,
	CONSTRAINT "wait_assignee_org_id_assignee_since_run_id_step_key_pk" PRIMARY KEY("org_id","assignee","since","run_id","step_key")
);
--> statement-breakpoint
CREATE INDEX "wait_kind" ON "pawl"."wait" USING btree ("org_id","kind","since","run_id","step_key");--> statement-breakpoint
CREATE INDEX "wait_workflow" ON "pawl"."wait" USING btree ("org_id","workflow","kind","since","run_id","step_key");--> statement-breakpoint
CREATE INDEX "wait_assignee_run" ON "pawl"."wait_assignee" USING btree ("org_id","run_id","step_key");--> statement-breakpoint
-- A row lives as long as its wait: dead ones are cleared away early, or lists read them all.
ALTER TABLE "pawl"."wait" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
