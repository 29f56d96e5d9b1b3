/** A server, a folder and the worker of one example, as a program that can be killed. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Program } from "../first-contact/program.ts";
import type { TestServer } from "../harness/server.ts";
import { SdkLab, serverOf } from "../semantics/sdk-lab.ts";

const root = join(import.meta.dirname, "..", "..");

export class ExampleStage extends SdkLab {
  /** For what the example writes. */
  readonly dir: string;
  readonly #example: string;
  readonly #programs: Program[] = [];

  private constructor(server: TestServer, example: string, dir: string) {
    super(server);
    this.#example = example;
    this.dir = dir;
  }

  /** `example` is a folder of examples/. */
  static async set(store: "sqlite" | "postgres", example: string): Promise<ExampleStage> {
    const dir = await mkdtemp(join(tmpdir(), "pawl-example-"));
    return new ExampleStage(await serverOf(store, example.replaceAll("-", "")), example, dir);
  }

  /** Its worker, ready for work. */
  async worker(name: string): Promise<Program> {
    const path = join(root, "examples", this.#example, "worker.ts");
    const env = { PAWL_URL: this.server.grpcUrl };
    const program = new Program(process.execPath, [path, name], { cwd: root, env });
    this.#programs.push(program);
    await program.waitFor(/is ready/);
    return program;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#programs) program.kill("SIGKILL");
    await super[Symbol.asyncDispose]();
    await rm(this.dir, { recursive: true });
  }
}
