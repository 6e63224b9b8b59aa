import { systemClock } from './clock.ts';
import { LineBuffer } from './line-buffer.ts';
import { terminalLines, terminalText } from './terminal.ts';

/** The logger of all other code: fields first, then a sentence. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  setLevel(level: LogLevel): void;
}

/** The logger of the process. */
export interface ProcessLogger extends Logger {
  /** Lines that were lost because the reader of stdout stalled or has gone. */
  droppedLines(): number;
  /** Resolves when all lines are written, and after at most one second: a stalled reader must not delay the exit. */
  flushed(): Promise<void>;
}

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LEVELS)[number];

export type LogFields = Readonly<Record<string, unknown>>;

/** Takes one finished line at a time. */
interface Lines {
  write(line: string): unknown;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Returns a copy of the fields without secrets. */
  readonly redact: (fields: LogFields) => Record<string, unknown>;
  /** Coloured text instead of JSON. Default: if stdout is a terminal. */
  readonly pretty?: boolean | undefined;
  /** Default stdout. */
  readonly destination?: Lines | undefined;
}

/** How long the exit waits for a slow reader of the log. */
const LAST_FLUSH_MS = 1_000;

/** Fields whose content is already in the sentence of a call's line. */
const HIDDEN_WHEN_PRETTY =
  'method,path,upstream,route,outcome,status,origin,gave_up,ms,head_ms,queued_ms,bytes_in,bytes_out,client,attempts,scope,from,to,cause';

/** A logger that writes JSON lines, or colourful ones to a terminal, with secrets redacted. */
export async function createLogger(options: LoggerOptions): Promise<ProcessLogger> {
  const pretty = options.pretty ?? (options.destination === undefined && process.stdout.isTTY);
  const lines = new LineBuffer(process.stdout, (dropped) =>
    log.warn({ dropped }, 'log lines were dropped, because the reader of stdout was too slow'),
  );
  const shown = pretty ? (fields: LogFields) => withoutErrorCode(options.redact(fields)) : options.redact;
  const stream = pretty ? await prettyStream(options.destination) : (options.destination ?? lines);
  let lowest = LEVELS.indexOf(options.level);
  const writer =
    (level: LogLevel): Logger[LogLevel] =>
    (fields, message) => {
      if (LEVELS.indexOf(level) >= lowest) stream.write(lineOf(level, shown(fields), message));
    };
  const log = {
    debug: writer('debug'),
    info: writer('info'),
    warn: writer('warn'),
    error: writer('error'),
    setLevel: (level: LogLevel) => {
      lowest = LEVELS.indexOf(level);
    },
  };
  return {
    ...log,
    droppedLines: () => lines.dropped,
    flushed: () =>
      Promise.race([
        lines.flushed(),
        new Promise<void>((resolve) => systemClock.timer(LAST_FLUSH_MS, resolve)),
      ]),
  };
}

/** A line of JSON. Its level and time come first. */
function lineOf(level: LogLevel, fields: LogFields, message: string): string {
  const time = new Date(systemClock.wallTime()).toISOString();
  return `${JSON.stringify({ level, time, ...fields, msg: message })}\n`;
}

/** Removes the code of an error, which is in the sentence too: pino-pretty would print it on a separate line. An Error with its stack stays. */
function withoutErrorCode({ error, ...others }: LogFields): Record<string, unknown> {
  return typeof error === 'string' ? others : { ...others, error };
}

/**
 * Synchronous and in this thread, unlike the stream of pino-pretty: a line is written before the process can die. Loaded only
 * for a terminal, for a fast start.
 */
async function prettyStream(to: Lines | undefined): Promise<Lines> {
  const { prettyFactory } = await import('pino-pretty');
  const format = prettyFactory({
    ignore: HIDDEN_WHEN_PRETTY,
    singleLine: true,
    translateTime: 'SYS:HH:MM:ss.l',
    colorize: to === undefined,
  });
  const target: Lines = to ?? process.stdout;
  return { write: (line) => target.write(format(JSON.parse(line, forTerminal))) };
}

/** Escapes control characters, because pino-pretty prints strings as they are. A stack keeps its line breaks. */
function forTerminal(name: string, value: unknown): unknown {
  if (typeof value === 'string') return name === 'stack' ? terminalLines(value) : terminalText(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [terminalText(key), inner]));
}
