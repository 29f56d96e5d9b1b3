-- What is due belongs to a subject, which need not be a run; it is read by organization, so that all get their turn.
DROP INDEX `due_at`;--> statement-breakpoint
ALTER TABLE `due` RENAME COLUMN "run_id" TO "subject";--> statement-breakpoint
UPDATE `due` SET `subject` = 'run/' || `subject`;--> statement-breakpoint
CREATE INDEX `due_at` ON `due` (`org_id`,`at`,`subject`);--> statement-breakpoint
DROP INDEX `run_state`;--> statement-breakpoint
ALTER TABLE `run` RENAME COLUMN "state" TO "status";--> statement-breakpoint
CREATE INDEX `run_status` ON `run` (`org_id`,`status`,`created_at`,`run_id`);--> statement-breakpoint
DROP INDEX `lease_session`;--> statement-breakpoint
ALTER TABLE `lease` RENAME COLUMN "session_id" TO "connection_id";--> statement-breakpoint
CREATE INDEX `lease_connection` ON `lease` (`connection_id`);
