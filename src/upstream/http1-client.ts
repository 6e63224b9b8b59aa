import type { Duplex } from 'node:stream';
import ParsingRequest from 'undici/lib/core/request.js';
import symbols from 'undici/lib/core/symbols.js';
import Client from 'undici/lib/dispatcher/client.js';
import type { Handler, ReplyFields, Request } from './handler.ts';
import { wireFields } from './wire-fields.ts';

/**
 * Hands over the fields of its reply as a list. undici would make an object of a list, by name in lower case, which takes 5 % of
 * the CPU time of a call and which no handler reads. It passes on what is not a list.
 */
class ListingRequest extends ParsingRequest {
  override onResponseStart(status: number, raw: Buffer[], resume: () => void, statusText: string): boolean {
    return super.onResponseStart(status, { list: wireFields(raw) }, resume, statusText);
  }

  override onRequestUpgrade(status: number, raw: Buffer[], socket: Duplex): void {
    super.onRequestUpgrade(status, { list: wireFields(raw) }, socket);
  }

  override onResponseEnd(raw: Buffer[]): void {
    super.onResponseEnd(raw.length === 0 ? NO_FIELDS : { list: wireFields(raw) });
  }
}

const NO_FIELDS: ReplyFields = { list: [] };

/** undici's client of one connection. Its handlers get the fields of replies as a list. */
export class Http1Client extends Client {
  /** As in undici, for one request at a time. */
  override [symbols.kDispatch](request: Request, handler: Handler): boolean {
    this[symbols.kQueue].push(new ListingRequest(this[symbols.kUrl].origin, request, handler));
    this[symbols.kResume](true);
    return this[symbols.kNeedDrain] === 0;
  }
}
