import { type DestinationStream, type Logger as Pino, pino } from 'pino';
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

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type LogFields = Readonly<Record<string, unknown>>;

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Returns a copy of the fields without secrets. */
  readonly redact: (fields: LogFields) => Record<string, unknown>;
  /** Coloured text instead of JSON. Default: if stdout is a terminal. */
  readonly pretty?: boolean | undefined;
  /** Takes one finished line at a time; default stdout. */
  readonly destination?: DestinationStream | undefined;
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
  const { redact } = options;
  const stream = pretty ? await prettyStream(options.destination) : (options.destination ?? lines);
  const log: Pino = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (level) => ({ level }),
        log: pretty ? (fields) => withoutErrorCode(redact(fields)) : redact,
      },
    },
    stream,
  );
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
    setLevel: (level) => {
      log.level = level;
    },
    droppedLines: () => lines.dropped,
    flushed: () =>
      Promise.race([
        lines.flushed(),
        new Promise<void>((resolve) => systemClock.timer(LAST_FLUSH_MS, resolve)),
      ]),
  };
}

/** Removes the code of an error, which is in the sentence too: pino-pretty would print it on a separate line. An Error with its stack stays. */
function withoutErrorCode({ error, ...others }: LogFields): Record<string, unknown> {
  return typeof error === 'string' ? others : { ...others, error };
}

/**
 * Synchronous and in this thread, unlike the stream of pino-pretty: a line is written before the process can die. Loaded only
 * for a terminal, for a fast start.
 */
async function prettyStream(to: DestinationStream | undefined): Promise<DestinationStream> {
  const { prettyFactory } = await import('pino-pretty');
  const format = prettyFactory({
    ignore: HIDDEN_WHEN_PRETTY,
    singleLine: true,
    translateTime: 'SYS:HH:MM:ss.l',
    colorize: to === undefined,
  });
  const target: DestinationStream = to ?? process.stdout;
  return { write: (line) => target.write(format(JSON.parse(line, forTerminal))) };
}

/** Escapes control characters, because pino-pretty prints strings as they are. A stack keeps its line breaks. */
function forTerminal(name: string, value: unknown): unknown {
  if (typeof value === 'string') return name === 'stack' ? terminalLines(value) : terminalText(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [terminalText(key), inner]));
}
