import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { RawHeaders } from '../http/headers.ts';

export type Request = Dispatcher.DispatchOptions;

/** The connection of a request, for its handler. */
export type Controller = Pick<Dispatcher.DispatchController, 'abort' | 'pause' | 'resume'>;

/** The fields or the trailers of a reply. It is an object, because undici would parse a list (see http1-client.ts). */
export interface ReplyFields {
  readonly list: RawHeaders;
}

/** Receives the events of one request. This is undici's interface, but for the form of the fields. */
export interface Handler {
  onRequestStart(controller: Controller): void;
  onRequestUpgrade(controller: Controller, status: number, fields: ReplyFields, socket: Duplex): void;
  onResponseStart(controller: Controller, status: number, fields: ReplyFields, statusText: string): void;
  onResponseData(controller: Controller, chunk: Buffer): void;
  onResponseEnd(controller: Controller, trailers: ReplyFields): void;
  /** Without a controller, no byte of the request was sent. */
  onResponseError(controller: Controller | undefined, error: Error): void;
}
