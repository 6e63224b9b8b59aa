import type { ResetAs } from '../http/reset-value.ts';

/**
 * Known facts about an API, in the form of config.yaml: the keys of an upstream, routes for single endpoints, and the source of
 * each fact. The schema in config/ checks these files like preset files of users.
 */
export interface Preset extends PresetValues {
  /** The host names of the API; `*` is any text. By them a preset is found and suggested. */
  readonly hosts: readonly string[];
  /** The URL of the API, if it is the same for all, or with placeholders for what differs. */
  readonly url?: string;
  /** One sentence: the facts that differ from the built-in values. */
  readonly about: string;
  /** Source of all facts that are not in `sources`: a page of the provider, or the code of its SDK. */
  readonly source: string;
  /** The day on which its sources were last read. The comment of a preset says which facts were compared, if not all. */
  readonly verified: string;
  /** Sources by key: `retry.idempotency_key`, or `timeouts` for all keys below it. */
  readonly sources?: Readonly<Record<string, string>>;
  readonly routes?: readonly PresetRoute[];
}

export interface PresetRoute extends PresetValues {
  readonly name: string;
  readonly source?: string;
  readonly match: { readonly method?: string | readonly string[]; readonly path?: string };
}

export interface PresetValues {
  readonly timeouts?: Partial<Readonly<Record<'connect' | 'attempt' | 'idle' | 'total', string>>>;
  readonly retry?: PresetRetry;
  readonly quota?: {
    readonly learn?: boolean;
    readonly scope?: string;
    readonly wait?: string;
    readonly cost?: { readonly reply: readonly (string | readonly string[])[] };
    readonly credential_headers?: readonly string[];
    readonly formats?: readonly PresetQuotaFormat[];
  };
  readonly identity?: Partial<
    Readonly<Record<'secret_names' | 'account_names' | 'ignored_names', readonly string[]>>
  >;
  readonly errors?: {
    readonly inspect?: 'errors' | 'all' | 'off';
    readonly rules?: readonly PresetErrorRule[];
  };
  readonly stream?: {
    readonly first_event?: string;
    readonly event_gap?: string;
    readonly ignore?: readonly (string | PresetStreamEvent)[];
    readonly error?: readonly PresetStreamError[];
    readonly done?: readonly PresetStreamEvent[];
    readonly hold?: string;
  };
}

interface PresetRetry {
  readonly attempts?: number;
  readonly statuses?: readonly number[];
  readonly not_processed?: readonly number[];
  readonly idempotency_key?: 'none' | 'pass' | 'inject' | 'require';
  readonly idempotency_header?: string;
  readonly safe?: boolean;
  readonly backoff?: Readonly<Record<string, string | number>>;
  readonly retry_after?: { readonly max: string };
  readonly veto_headers?: readonly string[];
}

/** The response headers that describe one quota of the API. */
export type PresetQuotaFormat = Partial<
  Readonly<Record<'bucket' | 'limit' | 'remaining' | 'reset' | 'resource' | 'used', string>>
> & {
  readonly unit?: 'calls' | 'cost';
  readonly reset_as?: ResetAs;
  readonly leak?: number;
  readonly continuous?: boolean;
};

/** Conditions on an event of a stream. All must hold; of each, one value must match. */
interface PresetStreamEvent extends Pick<PresetErrorRule, 'body' | 'source' | 'text'> {
  readonly event?: string | readonly string[];
  /** The whole data. */
  readonly data?: string | readonly string[];
}

/** An event that is an error. */
export interface PresetStreamError
  extends PresetStreamEvent,
    Pick<PresetErrorRule, 'means' | 'name' | 'throttled' | 'wait'> {
  /** Default 502. */
  readonly status?: number;
}

/** An error rule: which replies it matches, and what they mean. The first rule that matches decides. */
export interface PresetErrorRule {
  readonly name: string;
  readonly source?: string;
  readonly status?: number | readonly number[];
  /** By header: one of the values must match; `*` is any text. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** By JSON pointer, in which `*` is any member of a list or map. */
  readonly body?: Readonly<Record<string, string | readonly string[]>>;
  /** One of these texts must be in the body. */
  readonly text?: string | readonly string[];
  readonly means?: 'retry' | 'permanent' | 'not_processed' | 'in_progress' | 'credential_refused';
  readonly throttled?: boolean;
  readonly wait?: string;
}

/** A 429 was refused before it was processed: `source` says so, or the API's own client repeats any call after it. */
export const tooManyRequests = (source: string, wait?: string): PresetErrorRule => ({
  name: 'rate_limited',
  source,
  status: 429,
  means: 'not_processed',
  throttled: true,
  ...(wait !== undefined && { wait }),
});

/** Routes of endpoints that answer and store nothing: a second call costs money but does no harm. `source` says so. */
export const safePosts =
  (source: string) =>
  (name: string, path: string): PresetRoute => ({
    name,
    source,
    match: { method: 'POST', path },
    retry: { safe: true },
  });
