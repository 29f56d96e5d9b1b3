CREATE TABLE "pawl"."gate" (
	"org_id" text COLLATE "C" NOT NULL,
	"gate" text COLLATE "C" NOT NULL,
	"capacity" integer NOT NULL,
	"period_ms" bigint NOT NULL,
	"wake_at" bigint,
	"version" integer NOT NULL,
	CONSTRAINT "gate_org_id_gate_pk" PRIMARY KEY("org_id","gate")
);
--> statement-breakpoint
CREATE TABLE "pawl"."held" (
	"org_id" text COLLATE "C" NOT NULL,
	"run_id" text COLLATE "C" NOT NULL,
	"gate" text COLLATE "C" NOT NULL,
	"next_gate" text COLLATE "C" NOT NULL,
	"next_capacity" integer NOT NULL,
	"rank" integer NOT NULL,
	"turn" bigint NOT NULL,
	"held_at" bigint NOT NULL,
	"fair" text COLLATE "C" NOT NULL,
	"queue" text COLLATE "C" NOT NULL,
	"lane" text COLLATE "C" NOT NULL,
	CONSTRAINT "held_org_id_run_id_pk" PRIMARY KEY("org_id","run_id")
);
--> statement-breakpoint
CREATE TABLE "pawl"."permit" (
	"org_id" text COLLATE "C" NOT NULL,
	"gate" text COLLATE "C" NOT NULL,
	"run_id" text COLLATE "C" NOT NULL,
	"until" bigint NOT NULL,
	CONSTRAINT "permit_org_id_run_id_gate_pk" PRIMARY KEY("org_id","run_id","gate")
);
--> statement-breakpoint
ALTER TABLE "pawl"."workflow" ADD COLUMN "flow" text COLLATE "C" DEFAULT '' NOT NULL;--> statement-breakpoint
CREATE INDEX "gate_wake" ON "pawl"."gate" USING btree ("wake_at");--> statement-breakpoint
CREATE INDEX "held_order" ON "pawl"."held" USING btree ("gate","org_id","rank","turn","held_at","run_id");--> statement-breakpoint
CREATE INDEX "held_fair" ON "pawl"."held" USING btree ("gate","org_id","fair","turn");--> statement-breakpoint
CREATE INDEX "permit_gate" ON "pawl"."permit" USING btree ("gate","org_id","run_id");