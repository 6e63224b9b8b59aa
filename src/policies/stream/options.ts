import type { DocumentCondition } from '../../http/document.ts';
import type { ErrorWait } from '../../http/error-wait.ts';
import type { ReplyClassification } from '../../http/reply.ts';

/** The known facts about the event streams of an API. */
export interface StreamOptions {
  /** Milliseconds from the head to the first meaningful event; undefined: no limit. */
  readonly firstEventMs: number | undefined;
  /** Milliseconds between two meaningful events after the first; undefined: no limit. */
  readonly eventGapMs: number | undefined;
  /** Conditions on events that are not meaningful. */
  readonly ignore: readonly EventCondition[];
  /** The first rule that matches an event counts. */
  readonly errors: readonly StreamErrorRule[];
  /** Conditions on the events that end a complete stream. Empty: every clean end is complete. */
  readonly done: readonly EventCondition[];
  /** The most bytes that are held back until the first meaningful event. */
  readonly holdBytes: number;
}

/** A condition on an event. All parts that are not empty must hold; of each, one value must match. */
export interface EventCondition extends DocumentCondition {
  readonly events: readonly string[];
  /** The whole data of the event. */
  readonly data: readonly string[];
}

/** Which events are errors, and what they mean for retries. */
export interface StreamErrorRule extends EventCondition {
  readonly name: string | undefined;
  /** The status that the reply counts as. */
  readonly status: number;
  readonly means: ReplyClassification['kind'];
  readonly throttled: boolean;
  readonly wait: ErrorWait | undefined;
}
