import type { Abort } from '../../runtime/abort.ts';
import type { Identity, StoredReply } from './store.ts';

/** A key that this replica has claimed for all of them. */
export interface SharedClaim {
  /** False: the shared store is away, so another replica may use the key too. */
  readonly confirmed: boolean;
  /**
   * Ends the claim with the reply that all replicas give from now on, or without one. Resolves with the reply that this replica
   * stores; undefined if another replica has taken the key meanwhile, so that its reply counts. Never rejects.
   */
  end(reply: StoredReply | undefined): Promise<StoredReply | undefined>;
}

/** The state of a key for all replicas; see `Standing`. `leftMs`: how long the reply is stored from now on. */
export type SharedStanding =
  | { readonly kind: 'first'; readonly claim: SharedClaim }
  | { readonly kind: 'other_payload' }
  | { readonly kind: 'stored'; readonly reply: StoredReply; readonly leftMs: number };

/** Keys in use and replies, as replicas share them. */
export interface SharedKeys {
  /** Waits while another replica sends an equal request. Rejects with the reason of `signal` when it aborts meanwhile. */
  claim(identity: Identity, signal: Abort): Promise<SharedStanding>;
}
