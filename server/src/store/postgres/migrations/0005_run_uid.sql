-- A UUIDv7, for runs that were made without one: before, or by a server of the version before.
CREATE FUNCTION "pawl"."new_uid"() RETURNS text VOLATILE LANGUAGE sql AS $$
	SELECT regexp_replace(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0'),
		'^(.{8})(.{4})$', '\1-\2-7') || substr(gen_random_uuid()::text, 16)
$$;--> statement-breakpoint
CREATE TABLE "pawl"."worker_process" (
	"org_id" text COLLATE "C" NOT NULL,
	"worker_id" text COLLATE "C" NOT NULL,
	"instance_id" text COLLATE "C" NOT NULL,
	"connected" integer NOT NULL,
	"seen_at" bigint NOT NULL,
	"info" text COLLATE "C" NOT NULL,
	CONSTRAINT "worker_process_org_id_instance_id_pk" PRIMARY KEY("org_id","instance_id")
);
--> statement-breakpoint
ALTER TABLE "pawl"."run" ADD COLUMN "run_uid" text COLLATE "C" DEFAULT pawl.new_uid() NOT NULL;--> statement-breakpoint
ALTER TABLE "pawl"."workflow" ADD COLUMN "timeouts" text COLLATE "C" DEFAULT '' NOT NULL;--> statement-breakpoint
CREATE INDEX "worker_process_seen" ON "pawl"."worker_process" USING btree ("org_id","seen_at");--> statement-breakpoint
CREATE TYPE "pawl"."birth_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text,
	"seq" integer,
	"updated_at" bigint,
	"fence" integer,
	"state" text,
	"reason" text,
	"intent" text,
	"attempt" integer,
	"crashes" integer,
	"priority" integer,
	"created_at" bigint,
	"start_at" bigint,
	"started_at" bigint,
	"ended_at" bigint,
	"workflow" text,
	"version" text,
	"queue" text,
	"input_digest" text,
	"parent_run_id" text,
	"parent_key" text,
	"options" text,
	"tags" text,
	"waiting" text,
	"run_uid" text
);