-- The rows that servers hand to their statements (see shapes.ts).
CREATE TYPE "pawl"."wants_input" AS (
	"ord" integer,
	"org_id" text,
	"sha256" text
);--> statement-breakpoint
CREATE TYPE "pawl"."advance_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text,
	"fence" integer,
	"expected" integer,
	"seq" integer,
	"updated_at" bigint
);--> statement-breakpoint
CREATE TYPE "pawl"."patch_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text,
	"expected_fence" integer,
	"expected" integer,
	"expected_intent" text,
	"seq" integer,
	"updated_at" bigint,
	"state" text,
	"reason" text,
	"intent" text,
	"fence" integer,
	"attempt" integer,
	"crashes" integer,
	"started_at" bigint,
	"ended_at" bigint,
	"tags" text,
	"waiting" text
);--> statement-breakpoint
CREATE TYPE "pawl"."born_input" AS (
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
	"waiting" text
);--> statement-breakpoint
CREATE TYPE "pawl"."gone_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text,
	"fence" integer,
	"expected" integer
);--> statement-breakpoint
CREATE TYPE "pawl"."entry_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text,
	"seq" integer,
	"at" bigint,
	"attempt" integer,
	"crc" bigint,
	"type" text,
	"step_key" text,
	"meta" text,
	"encoding" text,
	"payload_sha256" text,
	"payload_size" bigint,
	"payload" bytea
);--> statement-breakpoint
CREATE TYPE "pawl"."tag_input" AS (
	"ord" integer,
	"key" text,
	"value" text
);--> statement-breakpoint
CREATE TYPE "pawl"."ready_put_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text,
	"queue" text,
	"lane" text,
	"rank" integer,
	"ready_at" bigint
);--> statement-breakpoint
CREATE TYPE "pawl"."ready_gone_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text
);--> statement-breakpoint
CREATE TYPE "pawl"."lease_put_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text,
	"session_id" text,
	"worker_id" text,
	"until" bigint
);--> statement-breakpoint
CREATE TYPE "pawl"."lease_gone_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text
);--> statement-breakpoint
CREATE TYPE "pawl"."due_put_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text,
	"kind" text,
	"step_key" text,
	"at" bigint,
	"data" text,
	"elsewhere" integer
);--> statement-breakpoint
CREATE TYPE "pawl"."due_gone_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text,
	"kind" text,
	"step_key" text,
	"up_to" bigint
);--> statement-breakpoint
CREATE TYPE "pawl"."due_clear_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text
);--> statement-breakpoint
CREATE TYPE "pawl"."wait_put_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text,
	"step_key" text,
	"kind" text,
	"workflow" text,
	"since" bigint,
	"until" bigint,
	"data" text
);--> statement-breakpoint
CREATE TYPE "pawl"."wait_gone_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text,
	"step_key" text
);--> statement-breakpoint
CREATE TYPE "pawl"."assignee_put_input" AS (
	"ord" integer,
	"org_id" text,
	"assignee" text,
	"since" bigint,
	"run_id" text,
	"step_key" text
);--> statement-breakpoint
CREATE TYPE "pawl"."assignee_gone_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text,
	"step_key" text
);--> statement-breakpoint
CREATE TYPE "pawl"."payload_put_input" AS (
	"ord" integer,
	"org_id" text,
	"sha256" text,
	"put_at" bigint,
	"size" bigint,
	"data" bytea
);--> statement-breakpoint
CREATE TYPE "pawl"."payload_ref_put_input" AS (
	"ord" integer,
	"org_id" text,
	"sha256" text,
	"run_id" text
);--> statement-breakpoint
CREATE TYPE "pawl"."delta_put_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text,
	"fence" integer,
	"first" integer,
	"last" integer,
	"after_seq" integer,
	"at" bigint,
	"keep" integer,
	"steps" text,
	"data" bytea
);--> statement-breakpoint
CREATE TYPE "pawl"."held_put_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text,
	"gate" text,
	"next_gate" text,
	"next_capacity" integer,
	"rank" integer,
	"held_at" bigint,
	"fair" text,
	"queue" text,
	"lane" text
);--> statement-breakpoint
CREATE TYPE "pawl"."held_gone_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text
);--> statement-breakpoint
CREATE TYPE "pawl"."gate_put_input" AS (
	"ord" integer,
	"org_id" text,
	"gate" text,
	"capacity" integer,
	"period_ms" bigint,
	"wake_at" bigint,
	"latest" integer
);--> statement-breakpoint
CREATE TYPE "pawl"."nudge_put_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text,
	"replica_id" text
);--> statement-breakpoint
CREATE TYPE "pawl"."chunk_input" AS (
	"ord" integer,
	"org_id" text,
	"run_id" text,
	"fence" integer,
	"first" integer,
	"last" integer,
	"at" bigint,
	"keep" integer,
	"steps" text,
	"data" bytea
);
