CREATE TABLE `secret` (
	`org_id` text NOT NULL,
	`name` text NOT NULL,
	`value` text NOT NULL,
	PRIMARY KEY(`org_id`, `name`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `wait` (
	`org_id` text NOT NULL,
	`run_id` text NOT NULL,
	`step_key` text NOT NULL,
	`kind` text NOT NULL,
	`workflow` text NOT NULL,
	`since` integer NOT NULL,
	`until` integer NOT NULL,
	`data` text NOT NULL,
	PRIMARY KEY(`org_id`, `run_id`, `step_key`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `wait_kind` ON `wait` (`org_id`,`kind`,`since`,`run_id`,`step_key`);--> statement-breakpoint
CREATE INDEX `wait_workflow` ON `wait` (`org_id`,`workflow`,`kind`,`since`,`run_id`,`step_key`);--> statement-breakpoint
CREATE TABLE `wait_assignee` (
	`org_id` text NOT NULL,
	`assignee` text NOT NULL,
	`since` integer NOT NULL,
	`run_id` text NOT NULL,
	`step_key` text NOT NULL,
	PRIMARY KEY(`org_id`, `assignee`, `since`, `run_id`, `step_key`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `wait_assignee_run` ON `wait_assignee` (`org_id`,`run_id`,`step_key`);