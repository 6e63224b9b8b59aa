import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Runs a script of this folder in a child process. It answers one message at a time, and ends with this process. */
export class Child {
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  /** Resolves with its first message. */
  static async start<Hello>(script: string): Promise<[Child, Hello]> {
    const child = new Child(
      fork(fileURLToPath(new URL(script, import.meta.url)), {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
        // JSON cannot represent an infinite capacity.
        serialization: 'advanced',
      }),
    );
    return [child, await child.#answer<Hello>()];
  }

  async ask<Answer>(question: object): Promise<Answer> {
    const answer = this.#answer<Answer>();
    this.#process.send(question);
    return await answer;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || !this.#process.connected) return;
    const ended = once(this.#process, 'exit'); // `close` is not emitted if the parent disconnects
    this.#process.disconnect();
    await ended;
  }

  async #answer<Answer>(): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const onExit = (code: number | null) =>
      reject(new Error(`${this.#process.spawnargs.at(-1)} ended with ${code}`));
    this.#process.once('message', resolve as (message: unknown) => void);
    this.#process.once('exit', onExit);
    try {
      return await promise;
    } finally {
      this.#process.off('exit', onExit);
    }
  }
}
