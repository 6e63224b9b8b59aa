import type { Resource } from '../resources.ts';

/** An event of a stream, before it becomes bytes. */
export interface StreamEvent {
  /** The event's name, its field `event`. */
  readonly name?: string;
  readonly id?: string;
  readonly data: string;
}

/** The request for an answer. */
export interface Question {
  /** The pieces of the answer: each is an event of its own. */
  readonly pieces: readonly string[];
  readonly model: string;
  readonly body: Resource;
}

/** The form in which one API answers, and in which it reports errors. */
export interface StreamApi {
  readonly path: RegExp;
  /** Each event is one line of JSON (NDJSON), instead of a server-sent event. */
  readonly lines?: true;
  /** Whether a request with this body asks for a stream; a request without a body always does. */
  streams(body: Resource, path: string): boolean;
  /** All events of a whole stream. The last one says that it is complete. */
  events(question: Question): readonly StreamEvent[];
  readonly ping: StreamEvent;
  /** The error of an overload. */
  readonly error: StreamEvent;
  /** The second form of an error that the API has. A text is sent as it is, outside of any event. Default: `error`. */
  readonly failed?: StreamEvent | string;
  /** The answer in one piece. Default: that of the path. */
  readonly reply?: (question: Question) => Resource;
  /** The body of an error with status 200. Default: the data of `error`. */
  readonly failedReply?: Resource;
  /** The body of an error with a status of its own. Default: that of the path. */
  readonly failure?: (status: number) => Resource;
}

/** An event whose data is JSON. */
export function json(data: Resource, name?: string): StreamEvent {
  return { data: JSON.stringify(data), ...(name === undefined ? {} : { name }) };
}

/** Time and ids do not change, so that two streams with the same answer are the same bytes. */
export const CREATED = 1_767_225_600;
export const PROMPT_TOKENS = 12;

/** One name for each event that an SDK waits for, unless an API has its own. */
export const PING: StreamEvent = { name: 'ping', data: '{"type":"ping"}' };

export const OVERLOADED = 'The model is overloaded. Please try again later.';
