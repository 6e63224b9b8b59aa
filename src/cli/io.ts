/** The world as commands see it, so that they can be run by a test. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Calls back each time the process is sent one of these signals. */
  onSignal(signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP', listener: () => void): void;
  /** Calls back with what nobody caught: exceptions and rejections outside any call. */
  onStray(listener: (error: unknown) => void): void;
  /** Ends the process without further ado. */
  exitNow(code: number): void;
}

/** Runs to its end and gives the exit code: 0 fine, 1 it failed, 2 it was called wrongly. */
export type Command = (args: readonly string[], io: Io) => Promise<number>;
