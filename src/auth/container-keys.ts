import { ProxyError } from '../proxy/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Issued } from './expiring-secret.ts';
import type { Ask } from './endpoint.ts';
import type { AwsKeys } from './aws.ts';

/** Requests temporary keys at the credential address of a container (ECS, EKS Pod Identity). Rejects with `auth_failed`. */
export async function requestKeys(
  token: string | undefined,
  ask: Ask,
  clock: Pick<Clock, 'wallTime'>,
): Promise<Issued<AwsKeys>> {
  const headers = token === undefined ? [] : ['authorization', token];
  let reply;
  try {
    reply = await ask({ headers, body: undefined });
  } catch (cause) {
    const why = cause instanceof ProxyError ? `: ${cause.code} (${cause.message})` : '';
    throw failed(`gave no keys${why}`, cause);
  }
  if (reply.status !== 200) throw failed(`answered ${reply.status}`);
  const keys = keysIn(reply.body);
  if (keys === undefined) throw failed('sent a reply without valid keys');
  const { AccessKeyId, SecretAccessKey, Token, Expiration } = keys;
  const endsAt = Expiration === undefined ? Number.POSITIVE_INFINITY : Date.parse(Expiration);
  return {
    secret: { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: Token },
    lifetimeMs: Math.max(0, endsAt - clock.wallTime()),
  };
}

interface ContainerKeys {
  readonly AccessKeyId: string;
  readonly SecretAccessKey: string;
  readonly Token?: string;
  readonly Expiration?: string;
}

function keysIn(body: string): ContainerKeys | undefined {
  try {
    const found = JSON.parse(body) as Partial<Record<keyof ContainerKeys, unknown>>;
    const { AccessKeyId, SecretAccessKey, Token, Expiration } = found;
    const isText = (value: unknown) => value === undefined || typeof value === 'string';
    if (typeof AccessKeyId !== 'string' || typeof SecretAccessKey !== 'string') return undefined;
    if (!isText(Token) || !isText(Expiration) || Number.isNaN(Date.parse(String(Expiration ?? 0))))
      return undefined;
    return found as ContainerKeys;
  } catch {
    return undefined;
  }
}

function failed(what: string, cause?: unknown): ProxyError {
  return new ProxyError('auth_failed', `the credential address of the container ${what}`, { cause });
}
