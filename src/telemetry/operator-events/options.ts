import type { EventType } from './event.ts';

/** Where events for operators are sent, and which. */
export interface EventOptions {
  /** `https://host[:port]`. */
  readonly origin: string;
  /** Path and query. Those of a chat are its secret. */
  readonly webhookPath: string;
  readonly format: 'json' | 'slack';
  /** Each secret (`whsec_…`) signs every message. */
  readonly secrets: readonly string[];
  /** True allows loopback and private addresses. */
  readonly allowPrivate: boolean;
  readonly types: readonly EventType[];
  /** A request that has been due for longer makes its route's backlog old. */
  readonly backlogAgeMs: number;
}
