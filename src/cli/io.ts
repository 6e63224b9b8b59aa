/** The process around a command. Tests replace it. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  /** All of the standard input. */
  input(): string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Calls `listener` each time the process receives the signal. */
  onSignal(signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP', listener: () => void): void;
  /** Calls `listener` with each uncaught exception and unhandled rejection. */
  onStray(listener: (error: unknown) => void): void;
  /** Ends the process at once. Waits for threads that are in a call of the system. */
  exitNow(code: number): void;
  /** Ends the process at once by SIGKILL, whatever its threads do. */
  killNow(): void;
}

/** Runs a command. Resolves with the exit code: 0 success, 1 failure, 2 wrong usage. */
export type Command = (args: readonly string[], io: Io) => Promise<number>;
