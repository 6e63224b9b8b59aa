import type { DocumentCondition } from '../../http/document.ts';
import type { ErrorWait } from '../../http/error-wait.ts';
import type { ReplyClassification } from '../../http/reply.ts';

/** The error rules of a route: the meaning of replies beyond their status. */
export interface ErrorRuleOptions {
  /** The replies whose bodies may be read: errors only, errors and every JSON reply, or none. */
  readonly inspect: 'errors' | 'all' | 'off';
  /** The first rule that matches counts. */
  readonly rules: readonly ErrorRule[];
}

/** A rule matches if all of its conditions hold. A condition holds if one of its values matches; `*` in a value matches any text. */
export interface ErrorRule extends DocumentCondition {
  readonly name: string | undefined;
  /** Undefined: every status from 400 on. */
  readonly statuses: readonly number[] | undefined;
  /** By lower-case name. */
  readonly headers: readonly (readonly [name: string, values: readonly string[]])[];
  readonly means: ReplyClassification['kind'];
  readonly throttled: boolean;
  readonly wait: ErrorWait | undefined;
}
