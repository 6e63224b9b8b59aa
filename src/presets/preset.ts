import type { ResetAs } from '../http/reset-value.ts';

/**
 * What is known about an API, written as in config.yaml: the keys of an upstream, routes for single endpoints, and
 * where each fact comes from. The schema in config/ is the judge of it, for these files as for those of users.
 */
export interface Preset extends PresetValues {
  /** In one sentence: what the preset knows that the built-in values do not. */
  readonly about: string;
  /** Where the facts come from that `sources` does not name: the provider's page, or the source of its SDK. */
  readonly source: string;
  /** By key: `retry.idempotency_key`, or `timeouts` for all below it. */
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

/** How one of its quotas stands in the headers of its replies. */
type PresetQuotaFormat = Partial<
  Readonly<Record<'bucket' | 'limit' | 'remaining' | 'reset' | 'resource' | 'used', string>>
> & {
  readonly unit?: 'calls' | 'cost';
  readonly reset_as?: ResetAs;
  readonly leak?: number;
  readonly continuous?: boolean;
};

/** One kind of error: how it is recognised, and what it means. The first that fits counts. */
export interface PresetErrorRule {
  readonly name: string;
  readonly source?: string;
  readonly status?: number | readonly number[];
  /** By header: values of which one must fit, `*` standing for anything. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** By JSON pointer, in which `*` is any member. */
  readonly body?: Readonly<Record<string, string | readonly string[]>>;
  /** One of these stands somewhere in the body. */
  readonly text?: string | readonly string[];
  readonly means?: 'retry' | 'permanent' | 'not_processed' | 'in_progress';
  readonly throttled?: boolean;
  readonly wait?: string;
}
