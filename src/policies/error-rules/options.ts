import type { Pointer } from '../../http/json-pointer.ts';
import type { ReplyVerdict } from '../../http/reply.ts';

/** What replies mean on a route, beyond their status. */
export interface InspectionOptions {
  /** Whose bodies may be looked into: of errors only, of every JSON reply, or of none. */
  readonly inspect: 'errors' | 'all' | 'off';
  /** The first that fits counts. */
  readonly rules: readonly ErrorRule[];
}

/** All of its conditions must hold; of the values of one condition, one must fit. `*` in a value stands for anything. */
export interface ErrorRule {
  readonly name: string | undefined;
  /** Undefined: any from 400 on. */
  readonly statuses: readonly number[] | undefined;
  /** By lower-case name. */
  readonly headers: readonly (readonly [name: string, values: readonly string[]])[];
  /** By JSON pointer (RFC 6901), in which `*` is any member. */
  readonly body: readonly (readonly [pointer: Pointer, values: readonly string[]])[];
  /** Texts of which one stands somewhere in the body. */
  readonly text: readonly string[];
  readonly means: ReplyVerdict['kind'];
  readonly throttled: boolean;
  readonly wait: ErrorWait | undefined;
}

/** Where an error says how long to wait, when its head does not. */
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
