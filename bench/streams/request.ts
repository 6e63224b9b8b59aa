import { REQUEST_HEADERS } from '../lib/scenarios.ts';

/** The stream that a request asks for. */
export interface Pace {
  readonly events: number;
  readonly intervalMs: number;
}

/** Digits of the moment in each event. */
export const STAMP_DIGITS = 15;

/** The end of each event. */
export const EVENT_END = '\n\n';

/** A chat completion. Some contenders need header fields of their own. */
export function requestBytes(pace: Pace, more: Readonly<Record<string, string>> = {}): Buffer {
  const body = JSON.stringify({
    model: `paced-${pace.events}-${pace.intervalMs}`,
    stream: true,
    messages: [{ role: 'user', content: 'Say something about the sea.' }],
  });
  const fields = {
    host: '127.0.0.1',
    ...REQUEST_HEADERS,
    accept: 'text/event-stream',
    'content-length': body.length,
    ...more,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  return Buffer.from(`POST /v1/chat/completions HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`, 'latin1');
}

/** Without Content-Length, the body is chunked, which ends with an empty chunk: no contender sends that. */
export function bodyLength(head: string): number {
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length === undefined) throw new Error(`a request without Content-Length: ${head}`);
  return Number(length);
}

export function paceOf(body: string): Pace {
  const [, events = '1', intervalMs = '20'] = /"paced-(\d+)-(\d+)"/.exec(body) ?? [];
  return { events: Number(events), intervalMs: Number(intervalMs) };
}
