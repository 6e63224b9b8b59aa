/** A request body for undici: none, complete bytes, or a stream. */
export type BodySource = Buffer | readonly Buffer[] | BodyReader | undefined;

/** All bytes of a body; undefined if they are not buffered. */
export type WholeBody = readonly Buffer[] | undefined;

/** A request body. Each attempt opens it from its first byte. */
export interface RequestBody {
  /** Whether an attempt can start from the first byte. */
  readonly replayable: boolean;
  /** Whether the client is still sending it. */
  readonly arriving: boolean;
  /**
   * The time of the last progress of the upload, on the scale of `now`, from which the upstream is responsible for delays.
   * It is `now` while an attempt waits for bytes of the client, and -Infinity without a body.
   */
  broughtOnAt(now: number): number;
  /** Opens the body for an attempt. Throws `RequestBodyNotBuffered` or `RequestBodyBroken` if no attempt can start. */
  open(): BodySource;
  /** The complete body, or a promise of it while it arrives; undefined if it is not buffered or breaks. Does not consume it. */
  whole(): WholeBody | Promise<WholeBody>;
  /** Frees buffered bytes and closes readers after the call. */
  dispose(): void;
}

/** A body that one attempt reads. `close` ends the iteration, even while it waits for bytes. */
export interface BodyReader extends AsyncIterable<Buffer> {
  close(): void;
}

export const EMPTY_BODY: RequestBody = {
  replayable: true,
  arriving: false,
  broughtOnAt: () => Number.NEGATIVE_INFINITY,
  open: () => undefined,
  whole: () => [],
  dispose: () => {},
};

/** A complete body in memory, independent of the stream that it came from. */
export function wholeBody(chunks: readonly Buffer[], from: RequestBody): RequestBody {
  const [first] = chunks;
  if (first === undefined) return from;
  return {
    replayable: true,
    arriving: false,
    broughtOnAt: (now) => from.broughtOnAt(now),
    open: () => (chunks.length === 1 ? first : chunks),
    whole: () => chunks,
    dispose: () => {},
  };
}

/** The body exceeded its buffer limit after the decision to retry, and before the attempt. */
export class RequestBodyNotBuffered extends Error {
  override readonly name = 'RequestBodyNotBuffered';
  constructor() {
    super('the request body has been sent and was not buffered, so it cannot be sent again');
  }
}

/** The client disconnected in the middle of its request body. */
export class RequestBodyBroken extends Error {
  override readonly name = 'RequestBodyBroken';
  constructor() {
    super('the client disconnected before its request body was complete');
  }
}
