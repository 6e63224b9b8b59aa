import type { RequestBody } from '../http/bodies/request-body.ts';
import type { RawHeaders } from '../http/headers.ts';
import type { Reply } from '../http/reply.ts';
import type { Abort } from '../runtime/abort.ts';
import type { Call } from './call.ts';

/** An attempt that is about to leave. */
export interface LeavingAttempt {
  readonly signal: Abort;
  /** The request body that this attempt sends. */
  bodyOf(call: Call): RequestBody;
}

/** The parts of a request that a credential changes. */
export interface AuthorizedRequest {
  readonly target: string;
  readonly headers: RawHeaders;
}

/** A credential that the proxy adds to an attempt just before it leaves, after all waits. */
export interface Credential {
  /** The request with the credential. Rejects with `auth_failed`, and when the attempt's signal aborts. */
  authorize(call: Call, attempt: LeavingAttempt): AuthorizedRequest | Promise<AuthorizedRequest>;
  /** Waits until the credential can be used; undefined if it can. Called before an attempt waits for its turn. */
  readonly ready?: ((call: Call, signal: Abort) => Promise<unknown> | undefined) | undefined;
  /** How it is renewed after a refusal. Undefined: it never changes. */
  readonly renewal?: Renewal | undefined;
  /** Removes the credential from what an upstream sends back. Undefined: no reply repeats it. */
  readonly clean?: ((headers: RawHeaders) => RawHeaders) | undefined;
}

/** How a credential is renewed after the upstream has refused it. */
export interface Renewal {
  /** Whether the reply refuses the credential, so that the upstream did not process the request. */
  refused(reply: Pick<Reply, 'status' | 'headers' | 'classification'>): boolean;
  /** True if another attempt would carry another credential than `used`. */
  renew(used: AuthorizedRequest, signal: Abort): Promise<boolean>;
}

/** The parts of a client's request that a credential replaces. They do not identify the client. */
export interface ReplacedParts {
  /** Lower-case names of header fields. */
  readonly headers: readonly string[];
  /** Names of query parameters, decoded. */
  readonly parameters: ReadonlySet<string>;
}
