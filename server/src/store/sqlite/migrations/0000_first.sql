-- By drizzle-kit from schema.ts; STRICT and WITHOUT ROWID, which it cannot express, by hand.
CREATE TABLE `due` (
	`org_id` text NOT NULL,
	`run_id` text NOT NULL,
	`kind` text NOT NULL,
	`step_key` text NOT NULL,
	`at` integer NOT NULL,
	`data` text NOT NULL,
	PRIMARY KEY(`org_id`, `run_id`, `kind`, `step_key`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `due_at` ON `due` (`at`,`org_id`,`run_id`);--> statement-breakpoint
CREATE TABLE `journal` (
	`org_id` text NOT NULL,
	`run_id` text NOT NULL,
	`seq` integer NOT NULL,
	`at` integer NOT NULL,
	`attempt` integer NOT NULL,
	`crc` integer NOT NULL,
	`type` text NOT NULL,
	`step_key` text NOT NULL,
	`meta` text NOT NULL,
	`encoding` text,
	`payload_sha256` text,
	`payload_size` integer,
	`payload` blob,
	PRIMARY KEY(`org_id`, `run_id`, `seq`)
) STRICT;
--> statement-breakpoint
CREATE TABLE `lease` (
	`org_id` text NOT NULL,
	`run_id` text NOT NULL,
	`session_id` text NOT NULL,
	`worker_id` text NOT NULL,
	`until` integer NOT NULL,
	PRIMARY KEY(`org_id`, `run_id`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `lease_session` ON `lease` (`session_id`);--> statement-breakpoint
CREATE TABLE `nudge` (
	`org_id` text NOT NULL,
	`run_id` text NOT NULL,
	`replica_id` text NOT NULL,
	PRIMARY KEY(`org_id`, `run_id`, `replica_id`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `nudge_replica` ON `nudge` (`replica_id`);--> statement-breakpoint
CREATE TABLE `payload` (
	`org_id` text NOT NULL,
	`sha256` text NOT NULL,
	`put_at` integer NOT NULL,
	`size` integer NOT NULL,
	`data` blob NOT NULL,
	PRIMARY KEY(`org_id`, `sha256`)
) STRICT;
--> statement-breakpoint
CREATE INDEX `payload_put` ON `payload` (`put_at`);--> statement-breakpoint
CREATE TABLE `payload_ref` (
	`org_id` text NOT NULL,
	`sha256` text NOT NULL,
	`run_id` text NOT NULL,
	PRIMARY KEY(`org_id`, `sha256`, `run_id`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `payload_ref_run` ON `payload_ref` (`org_id`,`run_id`);--> statement-breakpoint
CREATE TABLE `ready` (
	`org_id` text NOT NULL,
	`run_id` text NOT NULL,
	`queue` text NOT NULL,
	`lane` text NOT NULL,
	`rank` integer NOT NULL,
	`ready_at` integer NOT NULL,
	PRIMARY KEY(`org_id`, `run_id`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `ready_order` ON `ready` (`org_id`,`queue`,`lane`,`rank`,`ready_at`,`run_id`);--> statement-breakpoint
CREATE TABLE `run` (
	`org_id` text NOT NULL,
	`run_id` text NOT NULL,
	`seq` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`fence` integer NOT NULL,
	`state` text NOT NULL,
	`reason` text NOT NULL,
	`intent` text NOT NULL,
	`attempt` integer NOT NULL,
	`crashes` integer NOT NULL,
	`priority` integer NOT NULL,
	`created_at` integer NOT NULL,
	`start_at` integer NOT NULL,
	`started_at` integer NOT NULL,
	`ended_at` integer NOT NULL,
	`workflow` text NOT NULL,
	`version` text NOT NULL,
	`queue` text NOT NULL,
	`input_digest` text NOT NULL,
	`parent_run_id` text NOT NULL,
	`parent_key` text NOT NULL,
	`options` text NOT NULL,
	`tags` text NOT NULL,
	`waiting` text,
	PRIMARY KEY(`org_id`, `run_id`)
) STRICT;
--> statement-breakpoint
CREATE INDEX `run_created` ON `run` (`org_id`,`created_at`,`run_id`);--> statement-breakpoint
CREATE INDEX `run_state` ON `run` (`org_id`,`state`,`created_at`,`run_id`);--> statement-breakpoint
CREATE INDEX `run_workflow` ON `run` (`org_id`,`workflow`,`created_at`,`run_id`);--> statement-breakpoint
CREATE INDEX `run_parent` ON `run` (`org_id`,`parent_run_id`,`created_at`,`run_id`) WHERE parent_run_id <> '';--> statement-breakpoint
CREATE TABLE `run_tag` (
	`org_id` text NOT NULL,
	`key` text NOT NULL,
	`value` text NOT NULL,
	`created_at` integer NOT NULL,
	`run_id` text NOT NULL,
	PRIMARY KEY(`org_id`, `key`, `value`, `created_at`, `run_id`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `run_tag_run` ON `run_tag` (`org_id`,`run_id`);--> statement-breakpoint
CREATE TABLE `worker` (
	`org_id` text NOT NULL,
	`worker_id` text NOT NULL,
	`instance_id` text NOT NULL,
	`connected` integer NOT NULL,
	`seen_at` integer NOT NULL,
	`info` text NOT NULL,
	PRIMARY KEY(`org_id`, `worker_id`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `worker_seen` ON `worker` (`org_id`,`seen_at`);--> statement-breakpoint
CREATE TABLE `workflow` (
	`org_id` text NOT NULL,
	`name` text NOT NULL,
	`version` text NOT NULL,
	`description` text NOT NULL,
	`input_schema` text NOT NULL,
	`output_schema` text NOT NULL,
	`metadata` text NOT NULL,
	`versions` text NOT NULL,
	`registered_at` integer NOT NULL,
	PRIMARY KEY(`org_id`, `name`)
) STRICT, WITHOUT ROWID;
