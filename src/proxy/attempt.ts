import type { RequestBody } from '../http/bodies/request-body.ts';
import type { Interim, Reply } from '../http/reply.ts';
import type { Abort } from '../runtime/abort.ts';
import type { AttemptWatch } from './attempt-watch.ts';
import type { Call } from './call.ts';
import type { AuthorizedRequest, Credential } from './credential.ts';
import type { Trail } from './trail.ts';

/** Learns when an attempt leaves, with the watch of its silence. */
export interface StartListener {
  started(watch: AttemptWatch | undefined): void;
}

/** Sends an interim reply to the client at once. */
export interface InterimSink {
  onInterim(interim: Interim): void;
}

/** The values that an attempt begins with. */
export interface AttemptStart {
  /** The head must arrive before this moment, on the scale of `clock.now()`. */
  readonly deadline: number;
  readonly signal: Abort;
  /** 1 for the first try; the default. */
  readonly number?: number;
  /** No other attempt follows if this one fails, so its interim replies need not wait for its head. Default true. */
  readonly last?: boolean;
  /** Undefined if interim replies are not wanted. */
  readonly interims?: InterimSink | undefined;
  /** Counts the parallel second attempts of the call; undefined: there must be none. */
  readonly tally?: { hedges: number } | undefined;
  /** Called when the attempt has reached the upstream, or may have. */
  readonly onReached?: (() => void) | undefined;
  /** The targets that the call went to; undefined: its upstream has none. */
  readonly trail?: Trail | undefined;
}

/** An attempt that no policy has yet. */
type Writable = { -readonly [Value in keyof AttemptStart]: Attempt[Value] };

/**
 * The state of one attempt, which policies pass on with its call. Outside `retry` it stands for all attempts of the call. A policy
 * that changes it for the inner policies passes on a copy, made by `with`.
 */
export class Attempt {
  readonly number: number;
  readonly last: boolean;
  readonly deadline: number;
  signal: Abort;
  readonly interims: AttemptStart['interims'];
  readonly tally: AttemptStart['tally'];
  readonly onReached: AttemptStart['onReached'];
  readonly trail: AttemptStart['trail'];

  // Set by outer policies and read by inner ones.

  /** Learns when the attempt leaves for the upstream. Set by `hedge`. */
  startListener: StartListener | undefined = undefined;
  /** Replaces the request body of the call in this attempt. Set by `concurrency`. */
  upload: RequestBody | undefined = undefined;
  /** The credential that the proxy adds. Set by `auth`. */
  credential: Credential | undefined = undefined;
  /** Replaces target and headers of the call in this attempt. Set by `auth`. */
  authorized: AuthorizedRequest | undefined = undefined;
  /** The attempt must not leave at this moment or later, on the scale of `clock.real()`; undefined: at any. Set by `signature-age`. */
  signatureExpiresAt: number | undefined = undefined;
  /** The attempt's quota. Call `start` just before it leaves; false: it goes back to the queue. Set by `quota`. */
  reservation: { start(): boolean } | undefined = undefined;
  /** The attempt was sent back to the queue of its quota, and enters it again at the front. Set by `quota`. */
  requeued = false;
  /** Detects that the upstream is silent for too long. Set by `silence`. */
  watch: AttemptWatch | undefined = undefined;
  /** True for a reply whose first event answers the attempt. `stream`, which sets this, then reports the end of the attempt. */
  answersLater: ((reply: Reply) => boolean) | undefined = undefined;

  constructor(start: AttemptStart) {
    this.number = start.number ?? 1;
    this.last = start.last ?? true;
    this.deadline = start.deadline;
    this.signal = start.signal;
    this.interims = start.interims;
    this.tally = start.tally;
    this.onReached = start.onReached;
    this.trail = start.trail;
  }

  /** The request body that this attempt sends. */
  bodyOf({ body }: Pick<Call, 'body'>): RequestBody {
    return this.upload ?? body;
  }

  with(changes: Partial<AttemptStart>): Attempt {
    return Object.assign(this.#copy(), changes);
  }

  /** The same attempt with a signal of its own. */
  endedBy(signal: Abort): Attempt {
    const copy = this.#copy();
    copy.signal = signal;
    return copy;
  }

  /** One try of the call, if this attempt stands for all of them. */
  tried(number: number, last: boolean, tally: Attempt['tally'], trail: Attempt['trail']): Attempt {
    const copy = this.#copy();
    const tried: Writable = copy;
    tried.number = number;
    tried.last = last;
    tried.tally = tally;
    tried.trail = trail;
    return copy;
  }

  #copy(): Attempt {
    const copy = new Attempt(this);
    copy.startListener = this.startListener;
    copy.upload = this.upload;
    copy.credential = this.credential;
    copy.authorized = this.authorized;
    copy.signatureExpiresAt = this.signatureExpiresAt;
    copy.reservation = this.reservation;
    copy.watch = this.watch;
    copy.answersLater = this.answersLater;
    return copy;
  }
}
