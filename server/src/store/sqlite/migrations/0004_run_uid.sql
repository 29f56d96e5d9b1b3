CREATE TABLE `worker_process` (
	`org_id` text NOT NULL,
	`worker_id` text NOT NULL,
	`instance_id` text NOT NULL,
	`connected` integer NOT NULL,
	`seen_at` integer NOT NULL,
	`info` text NOT NULL,
	PRIMARY KEY(`org_id`, `instance_id`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `worker_process_seen` ON `worker_process` (`org_id`,`seen_at`);--> statement-breakpoint
ALTER TABLE `run` ADD `run_uid` text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE `workflow` ADD `timeouts` text DEFAULT '' NOT NULL;--> statement-breakpoint
-- Runs made before have none; theirs are UUIDv7s of the time of their creation, too.
UPDATE `run` SET `run_uid` = substr(printf('%012x', `created_at`), 1, 8) || '-' || substr(printf('%012x', `created_at`), 9)
	|| '-7' || substr(lower(hex(randomblob(2))), 2) || '-8' || substr(lower(hex(randomblob(2))), 2) || '-' || lower(hex(randomblob(6)));