CREATE TABLE `gate` (
	`org_id` text NOT NULL,
	`gate` text NOT NULL,
	`capacity` integer NOT NULL,
	`period_ms` integer NOT NULL,
	`wake_at` integer,
	`version` integer NOT NULL,
	PRIMARY KEY(`org_id`, `gate`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `gate_wake` ON `gate` (`wake_at`);--> statement-breakpoint
CREATE TABLE `held` (
	`org_id` text NOT NULL,
	`run_id` text NOT NULL,
	`gate` text NOT NULL,
	`next_gate` text NOT NULL,
	`next_capacity` integer NOT NULL,
	`rank` integer NOT NULL,
	`turn` integer NOT NULL,
	`held_at` integer NOT NULL,
	`fair` text NOT NULL,
	`queue` text NOT NULL,
	`lane` text NOT NULL,
	PRIMARY KEY(`org_id`, `run_id`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `held_order` ON `held` (`gate`,`org_id`,`rank`,`turn`,`held_at`,`run_id`);--> statement-breakpoint
CREATE INDEX `held_fair` ON `held` (`gate`,`org_id`,`fair`,`turn`);--> statement-breakpoint
CREATE TABLE `permit` (
	`org_id` text NOT NULL,
	`gate` text NOT NULL,
	`run_id` text NOT NULL,
	`until` integer NOT NULL,
	PRIMARY KEY(`org_id`, `run_id`, `gate`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `permit_gate` ON `permit` (`gate`,`org_id`,`run_id`);--> statement-breakpoint
ALTER TABLE `workflow` ADD `flow` text DEFAULT '' NOT NULL;