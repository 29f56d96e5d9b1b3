CREATE TABLE "pawl"."api_key" (
	"org_id" text COLLATE "C" NOT NULL,
	"key_id" text COLLATE "C" NOT NULL,
	"digest" text COLLATE "C" NOT NULL,
	"name" text COLLATE "C" NOT NULL,
	"kind" text COLLATE "C" NOT NULL,
	"scopes" text COLLATE "C" NOT NULL,
	"created_by" text COLLATE "C" NOT NULL,
	"created_at" bigint NOT NULL,
	"expires_at" bigint NOT NULL,
	"revoked_at" bigint NOT NULL,
	"last_used_at" bigint NOT NULL,
	"replaced_by" text COLLATE "C" NOT NULL,
	CONSTRAINT "api_key_org_id_key_id_pk" PRIMARY KEY("org_id","key_id")
);
--> statement-breakpoint
CREATE TABLE "pawl"."auth_epoch" (
	"id" integer NOT NULL,
	"epoch" bigint NOT NULL,
	CONSTRAINT "auth_epoch_id_pk" PRIMARY KEY("id")
);
--> statement-breakpoint
CREATE UNIQUE INDEX "api_key_digest" ON "pawl"."api_key" USING btree ("digest");