-- What is due belongs to a subject, which need not be a run; it is read by organization, so that all get their turn.
DROP INDEX "pawl"."due_at";--> statement-breakpoint
ALTER TABLE "pawl"."due" RENAME COLUMN "run_id" TO "subject";--> statement-breakpoint
ALTER TABLE "pawl"."due" RENAME CONSTRAINT "due_org_id_run_id_kind_step_key_pk" TO "due_org_id_subject_kind_step_key_pk";--> statement-breakpoint
UPDATE "pawl"."due" SET "subject" = 'run/' || "subject";--> statement-breakpoint
CREATE INDEX "due_at" ON "pawl"."due" USING btree ("org_id","at","subject");--> statement-breakpoint
ALTER TYPE "pawl"."due_put_input" RENAME ATTRIBUTE "run_id" TO "subject";--> statement-breakpoint
ALTER TYPE "pawl"."due_gone_input" RENAME ATTRIBUTE "run_id" TO "subject";--> statement-breakpoint
ALTER TYPE "pawl"."due_clear_input" RENAME ATTRIBUTE "run_id" TO "subject";--> statement-breakpoint
ALTER TABLE "pawl"."run" RENAME COLUMN "state" TO "status";--> statement-breakpoint
ALTER INDEX "pawl"."run_state" RENAME TO "run_status";--> statement-breakpoint
ALTER TYPE "pawl"."patch_10_input" RENAME ATTRIBUTE "state" TO "status";--> statement-breakpoint
ALTER TYPE "pawl"."birth_25_input" RENAME ATTRIBUTE "state" TO "status";--> statement-breakpoint
ALTER TABLE "pawl"."lease" RENAME COLUMN "session_id" TO "connection_id";--> statement-breakpoint
ALTER INDEX "pawl"."lease_session" RENAME TO "lease_connection";--> statement-breakpoint
ALTER TYPE "pawl"."lease_put_input" RENAME ATTRIBUTE "session_id" TO "connection_id";
