import { Expression } from '../http/expression.ts';
import { filled, hostLabel, isHostName } from '../http/host-template.ts';
import { isPrivateHost } from '../http/private-address.ts';

export interface TenantNameRules {
  /** `https://{shop}.example.com` */
  readonly origin: string;
  readonly allowPrivate: boolean;
  readonly placeholder: string;
  /** Regular expression (RE2) for allowed names; undefined: any. */
  readonly matches: string | undefined;
  /** A name may be several labels. */
  readonly dots: boolean;
}

/** The rule for the name of a tenant, as text for people. */
export function tenantRule({ dots, matches }: Pick<TenantNameRules, 'dots' | 'matches'>): string {
  const labels = dots ? 'labels of a host name' : 'one label of a host name';
  const rule = matches === undefined ? '' : `, and match ${matches}`;
  return `must be ${labels} (a-z, 0-9 and hyphens inside it)${rule}`;
}

/**
 * Decides which texts of callers are tenants. A caller chooses a part of a host, to which the proxy may send its own credential, so
 * every text is refused that is not plainly a label.
 */
export class TenantNames {
  readonly #rules: TenantNameRules;
  readonly #expression: Expression | undefined;

  constructor(rules: TenantNameRules) {
    this.#rules = rules;
    this.#expression = rules.matches === undefined ? undefined : new Expression(rules.matches);
  }

  /** The tenant that `text` names, in lower case; undefined if it is none. */
  read(text: string): string | undefined {
    const { allowPrivate, dots } = this.#rules;
    const name = hostLabel(text, dots);
    if (name === undefined || this.#expression?.test(name) === false) return undefined;
    const origin = this.originOf(name);
    const url = URL.parse(origin);
    // A host that the URL parser reads in another way would be another host.
    if (url?.origin !== origin || !isHostName(url.hostname)) return undefined;
    return allowPrivate || !isPrivateHost(url.hostname) ? name : undefined;
  }

  /** `https://acme.example.com` */
  originOf(name: string): string {
    const { origin, placeholder } = this.#rules;
    return filled(origin, { [placeholder]: name });
  }
}
