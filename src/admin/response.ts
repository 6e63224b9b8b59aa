import { STATUS_CODES } from '../runtime/node-http.ts';

/** The response of a handler. */
export interface AdminResponse {
  readonly status: number;
  readonly contentType: string;
  /** In pieces if it is long, so that it need not be made in one turn of the event loop. */
  readonly body: string | AsyncIterable<string>;
  readonly headers?: Readonly<Record<string, string>>;
}

export function json(status: number, value: unknown): AdminResponse {
  return {
    status,
    contentType: 'application/json; charset=utf-8',
    body: `${JSON.stringify(value, null, 2)}\n`,
  };
}

/** Without line breaks: thousands of numbers would have a line each. */
export function compactJson(status: number, value: unknown): AdminResponse {
  return { ...json(status, value), body: `${JSON.stringify(value)}\n` };
}

export function text(status: number, body: string): AdminResponse {
  return { status, contentType: 'text/plain; charset=utf-8', body };
}

/** An error with its response: problem details (RFC 9457). */
export class AdminProblem extends Error {
  readonly response: AdminResponse;

  constructor(
    status: number,
    detail: string,
    extra: { readonly headers?: Record<string, string>; readonly members?: object } = {},
  ) {
    super(detail);
    const body = { type: 'about:blank', title: STATUS_CODES[status], status, detail, ...extra.members };
    this.response = {
      ...json(status, body),
      contentType: 'application/problem+json',
      headers: extra.headers ?? {},
    };
  }
}
