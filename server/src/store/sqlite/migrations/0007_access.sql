CREATE TABLE `api_key` (
	`org_id` text NOT NULL,
	`key_id` text NOT NULL,
	`digest` text NOT NULL,
	`name` text NOT NULL,
	`kind` text NOT NULL,
	`scopes` text NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`revoked_at` integer NOT NULL,
	`last_used_at` integer NOT NULL,
	`replaced_by` text NOT NULL,
	PRIMARY KEY(`org_id`, `key_id`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `api_key_digest` ON `api_key` (`digest`);--> statement-breakpoint
CREATE TABLE `auth_epoch` (
	`id` integer PRIMARY KEY NOT NULL,
	`epoch` integer NOT NULL
) STRICT;