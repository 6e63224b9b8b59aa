/** What undici sends: nothing, bytes that are all here, or bytes that are still coming. */
export type BodySource = Buffer | readonly Buffer[] | BodyReader | undefined;

/** A request's body, which each attempt opens from its first byte. */
export interface RequestBody {
  /** Whether an attempt may (still) be started from the first byte. */
  readonly replayable: boolean;
  /** Its client still sends it. */
  readonly arriving: boolean;
  /**
   * When the client last brought its upload on, on the scale of `now`: now itself while an attempt waits for its next
   * bytes, -Infinity without a body. What times an upstream counts from here.
   */
  broughtOnAt(now: number): number;
  /** Throws `RequestBodyNotBuffered` or `RequestBodyBroken` where no attempt can be started. */
  open(): BodySource;
  /** All of it, once it is here; undefined where it is not kept or breaks off, and then nothing of it has been taken. */
  whole(): Promise<readonly Buffer[] | undefined>;
  /** Lets go of kept bytes and of readers. The call is over. */
  dispose(): void;
}

/** A body being read by one attempt. Closing it ends the iteration, even while it waits for bytes. */
export interface BodyReader extends AsyncIterable<Buffer> {
  close(): void;
}

export const EMPTY_BODY: RequestBody = {
  replayable: true,
  arriving: false,
  broughtOnAt: () => Number.NEGATIVE_INFINITY,
  open: () => undefined,
  whole: () => Promise.resolve([]),
  dispose: () => {},
};

/** A body that is all here, whatever becomes of the one that it came from. */
export function wholeBody(chunks: readonly Buffer[], from: RequestBody): RequestBody {
  const [first] = chunks;
  if (first === undefined) return from;
  return {
    replayable: true,
    arriving: false,
    broughtOnAt: (now) => from.broughtOnAt(now),
    open: () => (chunks.length === 1 ? first : chunks),
    whole: () => Promise.resolve(chunks),
    dispose: () => {},
  };
}

/** The body outgrew what may be kept after the decision to send it again, and before that attempt. */
export class RequestBodyNotBuffered extends Error {
  override readonly name = 'RequestBodyNotBuffered';
  constructor() {
    super('the request body has been sent and was not buffered, so it cannot be sent again');
  }
}

/** The client left in the middle of its request body. */
export class RequestBodyBroken extends Error {
  override readonly name = 'RequestBodyBroken';
  constructor() {
    super('the client disconnected before its request body was complete');
  }
}
