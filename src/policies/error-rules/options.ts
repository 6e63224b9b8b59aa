import type { Pointer } from '../../http/json-pointer.ts';
import type { ReplyClassification } from '../../http/reply.ts';

/** The error rules of a route: the meaning of replies beyond their status. */
export interface ErrorRuleOptions {
  /** The replies whose bodies may be read: errors only, errors and every JSON reply, or none. */
  readonly inspect: 'errors' | 'all' | 'off';
  /** The first rule that matches counts. */
  readonly rules: readonly ErrorRule[];
}

/** A rule matches if all of its conditions hold. A condition holds if one of its values matches; `*` in a value matches any text. */
export interface ErrorRule {
  readonly name: string | undefined;
  /** Undefined: every status from 400 on. */
  readonly statuses: readonly number[] | undefined;
  /** By lower-case name. */
  readonly headers: readonly (readonly [name: string, values: readonly string[]])[];
  /** By JSON pointer (RFC 6901), in which `*` is any member. */
  readonly body: readonly (readonly [pointer: Pointer, values: readonly string[]])[];
  /** The body must contain one of these texts. */
  readonly text: readonly string[];
  readonly means: ReplyClassification['kind'];
  readonly throttled: boolean;
  readonly wait: ErrorWait | undefined;
}

/** The source of the wait if the head of an error has no Retry-After. */
export type ErrorWait =
  | { readonly from: 'rule'; readonly ms: number }
  /** A number of seconds, or text with a unit. */
  | { readonly from: 'body'; readonly pointer: Pointer }
  /** Seconds, text with a unit, or seconds since the epoch. */
  | { readonly from: 'header'; readonly name: string }
  /** (needed − available) / perSecond, each a number in the body. */
  | {
      readonly from: 'points';
      readonly needed: Pointer;
      readonly available: Pointer;
      readonly perSecond: Pointer;
    };
