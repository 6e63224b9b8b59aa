import { isCredential } from '../http/credentials.ts';
import type { Call } from './call.ts';

/** Fields that say for whom a call is, besides those that hold a secret: `Stripe-Account`, `OpenAI-Organization`, GitLab's `Sudo` and their like. */
const ACCOUNT =
  /account|organi[sz]ation|project|tenant|workspace|context|user(?!-?agent)|customer|subject|identity|behalf|^sudo$/i;

/** The fields that tell for whom a call is, names and values: credentials and accounts. They are secrets: hash them. */
export function callerFields({ headers }: Call): string[] {
  const found: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    if (isCredential(name) || ACCOUNT.test(name)) found.push(name, headers[i + 1] as string);
  }
  return found;
}

/** With their lengths, so that `ab`,`c` is not `a`,`bc`. */
export const framed = (texts: readonly string[]): string[] => texts.map((text) => `${text.length}:${text}`);
