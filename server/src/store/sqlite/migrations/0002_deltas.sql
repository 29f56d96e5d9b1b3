-- By drizzle-kit from schema.ts; STRICT, which it cannot express, by hand.
CREATE TABLE `delta` (
	`org_id` text NOT NULL,
	`run_id` text NOT NULL,
	`fence` integer NOT NULL,
	`first` integer NOT NULL,
	`last` integer NOT NULL,
	`after_seq` integer NOT NULL,
	`at` integer NOT NULL,
	`keep` integer NOT NULL,
	`steps` text NOT NULL,
	`data` blob NOT NULL,
	PRIMARY KEY(`org_id`, `run_id`, `fence`, `first`)
) STRICT;
--> statement-breakpoint
CREATE INDEX `delta_sweep` ON `delta` (`org_id`,`run_id`) WHERE keep = 0;--> statement-breakpoint
CREATE INDEX `run_ended` ON `run` (`org_id`,`ended_at`,`run_id`) WHERE ended_at > 0;
