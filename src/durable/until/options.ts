import type { Pointer } from '../../http/json-pointer.ts';
import type { Conditions } from './condition.ts';
import type { PollDelay } from './delay.ts';

/** How a route polls after a successful reply, until a reply is final. */
export interface PollOptions {
  readonly conditions: Conditions;
  readonly delay: PollDelay;
  /** Where the reply names the URL of its result. Undefined: the request itself is sent again. */
  readonly target: PollTarget | undefined;
}

export type PollTarget =
  | {
      readonly from: 'header';
      /** Lower case. */
      readonly name: string;
    }
  /** A path below the upstream's URL, made of text and of values in the reply's JSON. */
  | { readonly from: 'path'; readonly parts: readonly (string | Pointer)[] };
